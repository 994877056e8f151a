"""The past in the order of its files, one event after another, for whoever needs no grouping."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tidings import intake
from tidings.errors import InvalidEventError
from tidings.events import Event
from tidings.history.gather import BrokenLine, Window
from tidings.history.sources import Unit


def stream(units: Sequence[Unit], broken: list[BrokenLine], window: Window | None = None) -> Iterator[Event]:
    """Every event of the units that the window holds; a line that is none is added to `broken`.

    Raises:
        HistoryError, TemporaryError: as `Unit.lines`.
    """
    numbers: Counter[str] = Counter()
    for unit in units:
        for line in unit.lines():
            numbers[unit.source] += 1
            if not line or line.isspace():
                continue
            try:
                event = intake.read(line)
            except InvalidEventError as error:
                broken.append(BrokenLine(unit.source, numbers[unit.source], error.reason, error.detail))
                continue
            if window is None or window.holds(event.received_at):
                yield event
