"""Pub/Sub message -> (person, event), or a dead letter."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.pvalue import TaggedOutput

from pipeline.metrics import counter
from tidings import consent, dead_letter, events
from tidings.errors import InvalidEventError

DEAD = "dead_letters"


class Decode(beam.DoFn):
    """Read the message. What is not ours, or cannot be read, becomes a dead letter with its reason."""

    def __init__(self) -> None:
        self._decoded = counter("events_decoded")
        self._dead = counter("dead_letters")

    def process(self, message: PubsubMessage) -> Iterator[Any]:
        """One message in; at most one event or one dead letter out."""
        attributes = message.attributes or {}
        schema = attributes.get("schema")
        try:
            if schema != events.SCHEMA:
                raise InvalidEventError("not_ours", "the attribute schema is missing or of another kind")
            event = events.decode(message.data)
            consent.from_event(event)
        except InvalidEventError as error:
            self._dead.inc()
            now = datetime.now(UTC)
            data, labels = dead_letter.build("decode", error.reason, error.detail, message.data, attributes, now)
            yield TaggedOutput(DEAD, PubsubMessage(data, labels))
            return
        self._decoded.inc()
        yield event.person, event
