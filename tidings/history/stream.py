"""The past in the order of its files, one event after another, for whoever needs no grouping."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from tidings.errors import InvalidEventError
from tidings.history.gather import BrokenLine, Window
from tidings.history.sources import Unit
from tidings.ingest import intake
from tidings.wire.events import Event


def stream(
    units: Sequence[Unit],
    broken: Callable[[BrokenLine], object],
    window: Window | None = None,
    wanted: Callable[[bytes], bool] | None = None,
) -> Iterator[Event]:
    """Every event of the units that the window holds.

    Args:
        units: the past, or pieces of it.
        broken: is told of each line that is no event.
        window: None for all of it.
        wanted: whether a line is worth decoding; None for every line.

    Raises:
        HistoryError, TemporaryError: as `Unit.lines`.
    """
    numbers: Counter[str] = Counter()
    for unit in units:
        for line in unit.lines():
            numbers[unit.source] += 1
            if not line or line.isspace() or (wanted is not None and not wanted(line)):
                continue
            try:
                event = intake.read(line)
            except InvalidEventError as error:
                broken(BrokenLine(unit.source, numbers[unit.source], error.reason, error.detail))
                continue
            if window is None or window.holds(event.received_at):
                yield event
