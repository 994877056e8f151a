"""How the DirectRunner reads from Pub/Sub here: with an honest watermark, and losing nothing unprocessed.

Beam's own reader for the DirectRunner (2.77, `apache_beam.runners.direct.transform_evaluator`) acknowledges messages
before they are processed, takes ten at a time, waits up to 30 s on an idle topic while every timer waits with it, and
reports "now" as its watermark even while a backlog waits to be read. The last is worse than slow: after a pause, "no
order within 15 minutes" would fire before the order that is next in the queue has been seen. Dataflow has a reader of
its own, which does none of this; it is not touched.
"""

import time
from collections import deque
from typing import Any, ClassVar

from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.runners.direct import transform_evaluator
from apache_beam.runners.direct.util import TransformResult
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable

_MOST_MESSAGES = 500
_IDLE_SECONDS = 0.03
_AWAY_SECONDS = 0.5
_SETTLED_SECONDS = 5.0
"""A message is acknowledged this long after it was read. Reading, deciding and publishing share one thread, so by then
it is through; when the process dies before that, the message comes again, and its `send_id` makes that harmless."""
_VISIBLE_SECONDS = 0.5
"""How long a message may take, once published, to be handed out."""


class _Reading:
    """How far one subscription has been read by this process."""

    def __init__(self, client: Any, subscription: str) -> None:
        deadline = client.get_subscription(subscription=subscription).ack_deadline_seconds
        # Whatever a process before this one has read and not acknowledged comes back by then. Until it does, nothing is
        # known to be complete.
        self.complete_from = time.time() + deadline + 1
        self.watermark = MIN_TIMESTAMP
        self.unacknowledged: deque[tuple[float, list[str]]] = deque()

    def advance(self, to: float) -> None:
        """Everything published before `to` (seconds since 1970) was read, unless the process is too young to know."""
        if time.time() >= self.complete_from:
            self.watermark = max(self.watermark, Timestamp.of(to))

    def acknowledge(self, client: Any, subscription: str) -> None:
        """Acknowledge what was read long enough ago."""
        settled: list[str] = []
        while self.unacknowledged and self.unacknowledged[0][0] <= time.time() - _SETTLED_SECONDS:
            settled += self.unacknowledged.popleft()[1]
        if settled:
            client.acknowledge(subscription=subscription, ack_ids=settled)


class HonestPubSubRead(transform_evaluator._PubSubReadEvaluator):
    """Reads a batch, and says how complete the input is: up to the oldest message of a full batch, or up to now."""

    _readings: ClassVar[dict[str, _Reading]] = {}

    def finish_bundle(self) -> TransformResult:
        """One pull, which is one bundle."""
        asked_at = time.time()
        messages = self._pull(asked_at)
        reading = self._readings.get(self._sub_name)
        bundles = []
        if messages:
            bundle = self._evaluation_context.create_bundle(next(iter(self._outputs)))
            for published, message in messages:
                bundle.output(GlobalWindows.windowed_value(message, timestamp=published))
            bundles.append(bundle)
        again = self._evaluation_context.create_bundle(
            transform_evaluator.pvalue.PBegin(self._applied_ptransform.transform.pipeline)
        )
        watermark = reading.watermark if reading else MIN_TIMESTAMP
        return TransformResult(self, bundles, [again], None, {None: watermark})

    def _pull(self, asked_at: float) -> list[tuple[Timestamp, PubsubMessage]]:
        """The next messages, with the time at which each was published; none when Pub/Sub is away for a moment."""
        client = self._get_subscriber_client(self._applied_ptransform)
        try:
            reading = self._readings.get(self._sub_name)
            if reading is None:
                reading = self._readings[self._sub_name] = _Reading(client, self._sub_name)
            request = {
                "subscription": self._sub_name,
                "max_messages": _MOST_MESSAGES,
                "return_immediately": True,  # a pull that waits would hold up every timer
            }
            received = client.pull(request=request, timeout=10).received_messages
            reading.acknowledge(client, self._sub_name)
        except (ServiceUnavailable, DeadlineExceeded):
            time.sleep(_AWAY_SECONDS)
            return []
        messages = [
            (Timestamp.from_utc_datetime(one.message.publish_time), PubsubMessage._from_message(one.message))
            for one in received
        ]
        if messages:
            reading.unacknowledged.append((time.time(), [one.ack_id for one in received]))
            reading.advance(min(published for published, _ in messages).micros / 1e6)
        else:
            reading.advance(asked_at - _VISIBLE_SECONDS)
            time.sleep(_IDLE_SECONDS)
        return messages


def install() -> None:
    """Let the DirectRunner read with this class. Has no effect on other runners."""
    transform_evaluator._PubSubReadEvaluator = HonestPubSubRead
