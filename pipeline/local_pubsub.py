"""How the DirectRunner reads from Pub/Sub here: with an honest watermark, and losing nothing unprocessed.

Beam's own reader for the DirectRunner (2.77, `apache_beam.runners.direct.transform_evaluator`) acknowledges messages
before they are processed, takes ten at a time, waits up to 30 s on an idle topic while every timer waits with it, and
reports "now" as its watermark even while a backlog waits to be read. The last is worse than slow: after a pause, "no
order within 15 minutes" would fire before the order that is next in the queue has been seen. Dataflow has a reader of
its own, which does none of this; it is not touched.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar

from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.runners.direct import transform_evaluator
from apache_beam.runners.direct.util import TransformResult
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from google.api_core.exceptions import Aborted, DeadlineExceeded, InternalServerError, ServiceUnavailable, Unknown

_MOST_MESSAGES = 500
_IDLE_SECONDS = 0.03
_AWAY_SECONDS = 0.5
_SETTLED_SECONDS = 5.0
"""A message is acknowledged this long after it was read. Reading, deciding and publishing share one thread, so by then
it is through; when the process dies before that, the message comes again, and its `send_id` makes that harmless."""
_VISIBLE_SECONDS = 0.5
"""How long a message may take, once published, to be handed out."""
_PATIENCE_SECONDS = 10.0
_AWAY = (Aborted, DeadlineExceeded, InternalServerError, ServiceUnavailable, Unknown)
"""What a call fails with while Pub/Sub is away, or when it goes away before it has answered."""


class Reading:
    """How far one subscription has been read by this process. Time is an argument, in seconds since 1970.

    Messages come oldest first: in the order of the instants from which they could be had, which are their publish
    times, and the ends of leases that ran out. That is what completeness is judged by. How many come at a time says
    nothing, for an answer also ends where it would grow too large.
    """

    def __init__(self, client: Any, subscription: str, now: float) -> None:
        # No call here tries again by itself: a second answer would hide that the first one was lost.
        found = client.get_subscription(subscription=subscription, retry=None, timeout=_PATIENCE_SECONDS)
        self._lease = found.ack_deadline_seconds
        self._client = client
        self._subscription = subscription
        self._unacknowledged: deque[tuple[float, list[str]]] = deque()
        self.watermark = MIN_TIMESTAMP
        self.doubt(now)

    def doubt(self, now: float) -> None:
        """Messages may be out that nobody works on: an earlier process took them, or the answer with them was lost.

        They come back when their lease ends. Until then, and until everything queued meanwhile is read, nothing is
        known to be complete.
        """
        self._all_back_at = now + self._lease + 1
        self._is_certain = False

    def advance(self, asked_at: float, published: Sequence[float]) -> None:
        """Conclude from a pull that was asked for at `asked_at`, and what it brought: when each message was published.

        Doubt ends when whatever had come back must have been read: nothing was left after that; or, under traffic
        that never pauses, there came a message that was published after that, and so queued behind it.
        """
        newest = max(published, default=asked_at)
        self._is_certain = self._is_certain or newest >= self._all_back_at
        if self._is_certain:
            complete_up_to = min(published, default=asked_at - _VISIBLE_SECONDS)
            self.watermark = max(self.watermark, Timestamp.of(complete_up_to))

    def pull(self, now: float) -> list[Any]:
        """The next messages, if there are any."""
        request = {
            "subscription": self._subscription,
            "max_messages": _MOST_MESSAGES,
            "return_immediately": True,  # a pull that waits would hold up every timer
        }
        received = list(self._client.pull(request=request, retry=None, timeout=_PATIENCE_SECONDS).received_messages)
        if received:
            self._unacknowledged.append((now, [one.ack_id for one in received]))
        return received

    def acknowledge(self, now: float) -> None:
        """Acknowledge what was read long enough ago."""
        while self._unacknowledged and self._unacknowledged[0][0] <= now - _SETTLED_SECONDS:
            _, ack_ids = self._unacknowledged[0]
            self._client.acknowledge(
                subscription=self._subscription, ack_ids=ack_ids, retry=None, timeout=_PATIENCE_SECONDS
            )
            self._unacknowledged.popleft()


class HonestPubSubRead(transform_evaluator._PubSubReadEvaluator):
    """Reads a batch, and says how complete the input is: up to the oldest message of the batch, or up to now."""

    _readings: ClassVar[dict[str, Reading]] = {}

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
        reading = self._readings.get(self._sub_name)
        try:
            if reading is None:
                reading = self._readings[self._sub_name] = Reading(client, self._sub_name, asked_at)
            reading.acknowledge(asked_at)
            received = reading.pull(asked_at)
        except _AWAY:
            if reading is not None:
                reading.doubt(time.time())
            time.sleep(_AWAY_SECONDS)
            return []
        messages = [
            (Timestamp.from_utc_datetime(one.message.publish_time), PubsubMessage._from_message(one.message))
            for one in received
        ]
        reading.advance(asked_at, [published.micros / 1e6 for published, _ in messages])
        if not messages:
            time.sleep(_IDLE_SECONDS)
        return messages


def install() -> None:
    """Let the DirectRunner read with this class. Has no effect on other runners."""
    transform_evaluator._PubSubReadEvaluator = HonestPubSubRead
