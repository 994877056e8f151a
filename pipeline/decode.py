"""Pub/Sub message -> (id, event) for every id that must hear of it, or a dead letter."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import TaggedOutput

from pipeline.metrics import counter
from tidings import dead_letter, events, identity, intake
from tidings.errors import InvalidEventError
from tidings.events import Event

DEAD = "dead_letters"
ANONYMOUS = "anonymous"

_READERS: dict[str | None, Callable[[bytes], Event]] = {
    events.SCHEMA: events.decode,
    identity.SCHEMA: identity.decode,
}


class Decode(beam.DoFn):
    """Read the message. What is not ours, or cannot be read, becomes a dead letter with its reason.

    Args:
        apart: whether what concerns an anonymous id goes to an output of its own, ANONYMOUS.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self._apart = apart
        self._decoded = counter("events_decoded")
        self._dead = counter("dead_letters")

    def process(self, message: PubsubMessage) -> Iterator[Any]:
        """One message in. Out comes a dead letter, or the event: for its person, and for an id that joins by it."""
        attributes = message.attributes or {}
        read = _READERS.get(attributes.get("schema"))
        try:
            if read is None:
                raise InvalidEventError("not_ours", "the attribute schema is missing or of another kind")
            event = read(message.data)
            intake.check(event)
        except InvalidEventError as error:
            self._dead.inc()
            now = datetime.now(UTC)
            data, labels = dead_letter.build("decode", error.reason, error.detail, message.data, attributes, now)
            yield TaggedOutput(DEAD, PubsubMessage(data, labels))
            return
        self._decoded.inc()
        for key in identity.addressees(event):
            element = key, event
            yield TaggedOutput(ANONYMOUS, element) if self._apart and key.startswith("a:") else element
