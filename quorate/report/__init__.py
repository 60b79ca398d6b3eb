"""What a run shows of itself: numbers, figures, the page and the terminal."""
