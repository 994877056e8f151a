"""All three steps, on as many processes as are asked for."""

import multiprocessing
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tidings.errors import TidingsError
from tidings.history import gather
from tidings.history.gather import Gathered, Window
from tidings.history.parts import Parts
from tidings.history.sources import HistoryError, Unit
from tidings.ingest import intake
from tidings.wire.events import Event

PART_BYTES = 8 * 2**20
"""About what each process holds in memory at a time, before it is decoded."""

MOST_PARTS = 200
"""So many files may be open when results are merged; beyond 1.6 GB of events the parts grow instead."""

_METHOD = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"

_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)
Progress = Callable[[str, float], None]
"""Told how much of a step is done: what the step does, and from 0 to 1."""


class ProcessDiedError(TidingsError):
    """A process has ended without a word; most likely there was no memory left for it."""


class DiskError(TidingsError):
    """What lies between two steps cannot be written to the temporary folder, or be read from it."""


class Task(Protocol[_Result_co]):
    """What is done with the people of one part, one after another; made anew for each part, in any process."""

    def person(self, person: str, history: list[Event]) -> None:
        """One person and everything that is theirs, as `tidings.deciding.replay.replay` takes it."""

    def finish(self) -> _Result_co:
        """There are no more people in this part. The result travels between processes, so it should be small."""


class Past:
    """A past that is gathered, person by person.

    Attributes:
        found: what it holds.
        until: how far it reaches, in milliseconds.
        folder: where tasks may leave what is too large to travel; removed with everything else.
    """

    def __init__(self, found: Gathered, until: int, folder: Path, people: Parts, run: "_Run[Any]") -> None:
        self.found = found
        self.until = until
        self.folder = folder
        self._people = people
        self._run = run

    def each_part(self, make: "Callable[[int], Task[_Result]]") -> Iterator[_Result]:
        """Do a task with everybody; yields the results of its parts, in any order.

        Args:
            make: from the number of a part to its task. It can be pickled.
        """
        yield from self._run.map("deciding", partial(_do, make, self._people), range(self._people.count))


@contextmanager
def gathered(units: Sequence[Unit], window: Window, processes: int, progress: Progress) -> Iterator[Past]:
    """The past of these units, for as long as the context lasts; it lies in a temporary folder (`TMPDIR` says where).

    Raises:
        HistoryError: a source cannot be read, or holds no event of the window.
        TemporaryError: a source cannot be reached now.
        ProcessDiedError: one of several processes was killed.
        DiskError: the temporary folder is full.
    """
    size = sum(unit.size for unit in units)
    count = max(1, min(MOST_PARTS, -(-size // PART_BYTES)))
    with tempfile.TemporaryDirectory(prefix="tidings-") as name, _run(processes, progress) as run:
        folder = Path(name)
        places = {step: folder / step for step in ("anonymous", "people", "results")}
        for place in places.values():
            place.mkdir()
        people, anonymous = (Parts(places[step], step, count) for step in ("people", "anonymous"))
        found: list[Gathered] = [Gathered()] * len(units)
        scatter = partial(_scatter, window=window, people=people, anonymous=anonymous)
        for number, piece in run.map("reading", scatter, list(enumerate(units))):
            found[number] = piece
        everything = gather.number_lines(units, found)
        if not everything.events:
            raise HistoryError(_nothing(everything))
        for _ in run.map("joining", partial(gather.follow, anonymous, people=people), range(count)):
            pass
        gather.clear(places["anonymous"])
        yield Past(everything, gather.end_of(everything, window), places["results"], people, run)


def _nothing(found: Gathered) -> str:
    if found.outside:
        return f"there is no event in this stretch of time; {found.outside:,} lie outside it"
    if found.broken:
        first = found.faults[0]
        return f"there is no event: {found.broken:,} lines are none, the first is {first.number} ({first.detail})"
    return "there is no event: nothing is in there"


def _scatter(numbered: tuple[int, Unit], window: Window, people: Parts, anonymous: Parts) -> tuple[int, Gathered]:
    number, unit = numbered
    return number, gather.scatter(unit, window, people, anonymous)


def _do(make: "Callable[[int], Task[_Result]]", people: Parts, number: int) -> _Result:
    task = make(number)
    for person, lines in people.grouped(number).items():
        task.person(person, [intake.from_line(line) for line in lines])
    return task.finish()


class _Run(Generic[_Result]):
    """Does one step after another, here or in other processes."""

    def __init__(self, executor: Executor | None, progress: Progress) -> None:
        self._executor = executor
        self._progress = progress

    def map(self, step: str, function: Callable[[Any], Any], work: Sequence[Any]) -> Iterator[Any]:
        """The results, as they come.

        Raises:
            DiskError: see there; what the work raises besides is raised as it is.
        """
        self._progress(step, 0)
        results = self._results(function, work)
        for done in range(1, len(work) + 1):
            try:
                result = next(results)
            except OSError as error:  # of the temporary folder: a source says itself that it cannot be read
                raise DiskError(f"{tempfile.gettempdir()}: {error.strerror}; TMPDIR names another folder") from None
            self._progress(step, done / len(work))
            yield result

    def _results(self, function: Callable[[Any], Any], work: Iterable[Any]) -> Iterator[Any]:
        if self._executor is None:
            yield from map(function, work)
            return
        waiting = [self._executor.submit(function, one) for one in work]
        try:
            for future in as_completed(waiting):
                yield future.result()
                waiting.remove(future)  # what it holds is no longer needed
        except BrokenProcessPool:
            raise ProcessDiedError("a process was killed; perhaps there is too little memory for so many") from None


@contextmanager
def _run(processes: int, progress: Progress) -> Iterator[_Run[Any]]:
    if processes == 1:
        yield _Run(None, progress)
        return
    context = multiprocessing.get_context(_METHOD)
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_leave_signals_to_the_parent)
    try:
        yield _Run(executor, progress)
    finally:
        executor.shutdown(cancel_futures=True)


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # and not as the parent does
