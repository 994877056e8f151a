"""The front door with a publisher that a test can read and break: a source file for the Functions Framework."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import flask
import functions_framework

from functions.collect import Collector
from tidings.adapters.pubsub import Message
from tidings.errors import PublishError
from tidings.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class RecordingPublisher:
    """Keeps what it is given; the topics in `down` take nothing, nor do any for the next `failures` times."""

    def __init__(self) -> None:
        self.topics: defaultdict[str, list[Message]] = defaultdict(list)
        self.down: set[str] = set()
        self.failures = 0

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Keep the messages, or refuse all of them."""
        if topic in self.down or self.failures:
            self.failures = max(0, self.failures - 1)
            raise PublishError(f"{topic}: ServiceUnavailable")
        self.topics[topic].extend(messages)


publisher = RecordingPublisher()
collector = Collector(
    Settings(events_topic="events", dead_letters_topic="dead-letters", write_keys=("other-key", "key")),
    publisher,
    clock=lambda: NOW,
)


@functions_framework.http
def collect(request: flask.Request) -> flask.Response:
    """The function under test."""
    return collector(request)
