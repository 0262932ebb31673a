"""Draw a sweep's trials one after another, each by what those before it scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from ray.tune.search import Searcher

from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.possible import reason_of
from opabinia.sweeps.searching.config import TPESearch
from opabinia.sweeps.searching.draws import log_draw, logged_draws
from opabinia.sweeps.searching.points import Axes, Point
from opabinia.sweeps.searching.tpe import Tried, next_point
from opabinia.training.run import RunConfig

MakeRuns = Callable[[Point], list[RunConfig]]
"""The trials of a point, one a seed. Raises ValueError where they cannot be trained."""


@dataclass
class Drawing:
    """What was drawn, and what is to be run of it. log: where points are kept. outcomes: of trials that were begun, as they become."""

    axes: Axes
    search: TPESearch
    make_runs: MakeRuns
    log: Path
    outcomes: Mapping[str, Outcome] = field(default_factory=dict[str, Outcome])
    drawn: list[tuple[Point, list[RunConfig]]] = field(default_factory=list[tuple[Point, list[RunConfig]]])
    impossible: list[Point] = field(default_factory=list[Point])
    ended: set[str] = field(default_factory=set[str])
    """Names of trials that will tell no more."""
    waiting: deque[RunConfig] = field(default_factory=deque[RunConfig])

    def __post_init__(self) -> None:
        """With what an earlier attempt drew; points that the sweep does not have any more are left out."""
        for point in logged_draws(self.log):
            self._add(point)

    @property
    def runs(self) -> list[RunConfig]:
        """All that were drawn."""
        return [run for _, runs in self.drawn for run in runs]

    def go_on(self, outcomes: Mapping[str, Outcome]) -> None:
        """From what an earlier attempt came to: what did not end there comes first."""
        self.outcomes = outcomes
        self.ended = {name for name, outcome in outcomes.items() if outcome.over}
        self.waiting = deque(run for run in self.runs if run.name not in self.ended)

    def next_run(self) -> RunConfig | None:
        """The next trial; None where there are to be no more."""
        while not self.waiting:
            if len(self.drawn) >= self.search.samples or len(self.impossible) > 10 * self.search.samples:
                return None
            point = next_point(self.axes, self.search, self.tried())
            if point is None:
                print(f"tpe: no other configuration after {len(self.drawn)}; all were drawn", flush=True)
                return None
            if self._add(point):
                log_draw(self.log, point)
                self.waiting.extend(self.drawn[-1][1])
        return self.waiting.popleft()

    def _add(self, point: Point) -> bool:
        try:
            runs = self.make_runs(point)
        except (ValueError, LookupError) as error:
            self.impossible.append(point)
            print(f"left out, 1 draw: {reason_of(error) if isinstance(error, ValueError) else error}", flush=True)
            return False
        self.drawn.append((point, runs))
        return True

    def tried(self) -> list[Tried]:
        """What the search is told of every point so far."""
        return [
            *(self._what_became(point, runs) for point, runs in self.drawn),
            *(Tried(point, "failed") for point in self.impossible),
        ]

    def _what_became(self, point: Point, runs: list[RunConfig]) -> Tried:
        """Over its seeds: the mean of those that finished; where none did, of those that were stopped last."""
        if any(run.name not in self.ended for run in runs):
            return Tried(point, "running")
        told = [
            (len(one.results), one.report) for run in runs if (one := self.outcomes.get(run.name)) and not one.failed
        ]
        scores = [
            (number, report.status, report.score) for number, report in told if report and report.score is not None
        ]
        if not scores:
            return Tried(point, "failed")
        furthest = max(number for number, _, _ in scores)
        state = "finished" if any(status == "finished" for _, status, _ in scores) else "stopped"
        return Tried(point, state, fmean(score for number, _, score in scores if number == furthest), furthest)


class DrawnTrials(Searcher):
    """Gives Ray Tune what a `Drawing` draws."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__(metric="score", mode="max")
        self._drawing = drawing
        self._names = dict[str, str]()

    def suggest(self, trial_id: str) -> Any:
        run = self._drawing.next_run()
        if run is None:
            return Searcher.FINISHED
        self._names[trial_id] = run.name
        return {"run": run.model_dump_json()}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self._drawing.ended.add(self._names[trial_id])

    def save(self, checkpoint_path: str) -> None:
        """Nothing: it is all in the logs."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""
