"""How far a run is: named stages, each waiting, under way or done."""

from collections.abc import Callable, Sequence
from typing import Any

from quorate.report.numbers import about, duration

CELLS = 24


class Progress:
    """Stages of known names. A stage is started with a total, advanced to a count and finished; the others wait.

    `finished` is called with one line for each stage that ends, for a log; `lines` is the picture for a terminal.

    >>> seconds = iter([0.0, 3.0])
    >>> progress = Progress(["N = 50", "N = 1000"], clock=lambda: next(seconds), finished=print)
    >>> progress.start("N = 50", 20, "configurations")
    >>> progress.finish("N = 50")
    N = 50     20 configurations   3 s
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        clock: Callable[[], float],
        plain: bool = False,
        finished: Callable[[str], None] = lambda line: None,
    ):
        self.clock, self.plain, self.finished = clock, plain, finished
        self._stages: dict[str, dict[str, Any]] = {name: {} for name in names}

    def _running(self, name: str) -> dict[str, Any]:
        if name not in self._stages:
            raise ValueError(f'no stage is called "{name}"; there are {", ".join(self._stages)}')
        if "start" not in self._stages[name]:
            raise ValueError(f'stage "{name}" has not been started')
        return self._stages[name]

    def start(self, name: str, total: int, unit: str = "") -> None:
        """Begin a stage of `total` units, the unit in the plural; one that was not announced is added at the end."""
        self._stages[name] = {"start": self.clock(), "total": total, "unit": unit, "done": 0, "note": None}

    def advance(self, name: str, done: int, note: str | None = None) -> None:
        """`done` units of a stage are done by now; `note` stands in place of the count."""
        self._running(name).update(done=done, note=note)

    def finish(self, name: str, note: str | None = None) -> None:
        """End a stage; `note` stands in place of the count from now on."""
        stage = self._running(name)
        stage.update(done=stage["total"], note=note, took=self.clock() - stage["start"])
        measure = note or f"{stage['total']} {stage['unit']}".strip()
        self.finished(f"{name.ljust(max(map(len, self._stages)))}   {measure}   {duration(stage['took'])}")

    def lines(self, width: int = 80) -> list[str]:
        """One line per stage, at most `width` columns: its bar, what is done, and the time it took or still needs."""
        done_sign, open_sign = ("=", ".") if self.plain else ("━", "╌")
        room = max(map(len, self._stages), default=0)
        measures = {name: self._measure(stage) for name, stage in self._stages.items()}
        wide = max((len(text) for text in measures.values() if text != "waiting"), default=0)
        drawn = []
        for name, stage in self._stages.items():
            filled = 0 if "start" not in stage else CELLS if "took" in stage else self._share(stage)
            bar = done_sign * filled + open_sign * (CELLS - filled)
            line = f"  {name.ljust(room)}  {bar}  {measures[name].ljust(wide)}   {self._time(stage)}".rstrip()
            drawn.append(line[:width])
        return drawn

    def _share(self, stage: dict[str, Any]) -> int:
        return min(CELLS, int(CELLS * stage["done"] / stage["total"])) if stage["total"] else 0

    def _measure(self, stage: dict[str, Any]) -> str:
        if "start" not in stage:
            return "waiting"
        return stage["note"] or f"{stage['done']}/{stage['total']}"

    def _time(self, stage: dict[str, Any]) -> str:
        if "start" not in stage:
            return ""
        if "took" in stage:
            return duration(stage["took"])
        if not stage["done"]:
            return ""
        left = (self.clock() - stage["start"]) / stage["done"] * (stage["total"] - stage["done"])
        return f"{about(left)} left"

    def render(self) -> Any:
        """The picture as rich draws it: done stages and waiting ones in the second ink."""
        from rich.text import Text

        text = Text(no_wrap=True, overflow="crop")
        for k, (line, stage) in enumerate(zip(self.lines(), self._stages.values(), strict=True)):
            under_way = "start" in stage and "took" not in stage
            text.append(("\n" if k else "") + line, "" if under_way else "dim")
        return text
