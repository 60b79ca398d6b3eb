"""Ways of carrying frames: `memory` within a process, `tcp` on loopback. Both hand bytes to the same readers."""
