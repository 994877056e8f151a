"""Pub/Sub message -> (id, event) for every id that must hear of it, or a dead letter."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import TaggedOutput

from pipeline.metrics import counter
from tidings.deciding import identity
from tidings.errors import InvalidEventError
from tidings.ingest import intake
from tidings.wire import dead_letter

DEAD = "dead_letters"
ANONYMOUS = "anonymous"


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
        try:
            event = intake.read_message(message.data, attributes)
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
