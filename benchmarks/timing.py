"""Takes turns: baseline, candidate, baseline, candidate, ... so that a noisy minute hits both alike."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Result(NamedTuple):
    """Median seconds of both, and how the candidate's speed compares to the baseline's."""

    baseline: float
    candidate: float

    @property
    def ratio(self) -> float:
        """Speed of the candidate over that of the baseline; 1.0 means equally fast."""
        return self.baseline / self.candidate


def compare(baseline: Callable[[], object], candidate: Callable[[], object], rounds: int = 5) -> Result:
    """Run both in turns, and take the medians."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, taken in zip((baseline, candidate), times, strict=True):
            gc.collect()
            started = time.perf_counter()
            function()
            taken.append(time.perf_counter() - started)
    return Result(*(statistics.median(taken) for taken in times))


HEADER = "| what | measured | against | ratio | target | met |\n|---|---|---|---|---|---|"


def row(
    what: str, measured: str, against: str, ratio: float, *, at_least: float | None = None, at_most: float | None = None
) -> str:
    """One line of the table. Without a target the ratio is only told."""
    shown = f"| {what} | {measured} | {against} | {ratio:.2f}x |"
    if at_least is not None:
        return f"{shown} at least {at_least}x | {_yes(ratio >= at_least)} |"
    if at_most is not None:
        return f"{shown} at most {at_most}x | {_yes(ratio <= at_most)} |"
    return f"{shown} | |"


def _yes(met: bool) -> str:
    return "yes" if met else "no"
