"""The messages of the embedded Pub/Sub: what each subscription still has to get, and when it may have it.

One row of `deliveries` is one message that one subscription has not acknowledged. Its `due` is the instant from which
it may be handed out: the publish time at first, then the end of the lease plus the retry policy's backoff. So new and
returned messages queue together, first come first served, and a crash needs no recovery: a lease just runs out.

Not thread-safe: the server calls it under its one lock. Time is an argument, in seconds since 1970.
"""

import itertools
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from google.pubsub_v1 import types

from tidings.adapters.pubsub_catalogue import MAX_ACK_SECONDS, Catalogue, Entry, Proto, invalid, seconds

PubsubMessage, ReceivedMessage = types.PubsubMessage.pb(), types.ReceivedMessage.pb()

MAX_LEASED = 1000
MAX_LEASED_BYTES = 3_000_000
"""Clients that follow PUBSUB_EMULATOR_HOST keep gRPC's limit of 4 MB for one answer."""

PUSH_MIN_BACKOFF, PUSH_MAX_BACKOFF = 0.1, 60.0
"""Google's push backoff, where the subscription has no retry policy: https://cloud.google.com/pubsub/docs/push"""

_MAX_DOUBLINGS = 20

logger = logging.getLogger(__name__)


class Backlog:
    """Unacknowledged messages, in SQLite.

    Args:
        db: shared with the catalogue.
        catalogue: which subscriptions there are.
        arrived: called with a subscription's name whenever something for it became due or room was made.
        now: the time; new ids are greater than its microseconds.
    """

    def __init__(
        self, db: sqlite3.Connection, catalogue: Catalogue, arrived: Callable[[str], None], now: float
    ) -> None:
        self._db = db
        self._catalogue = catalogue
        self._arrived = arrived
        db.executescript(
            """
            CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, published REAL NOT NULL, body BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS deliveries (
                message INTEGER NOT NULL, subscription INTEGER NOT NULL, due REAL NOT NULL,
                attempts INTEGER NOT NULL DEFAULT 0, holder TEXT NOT NULL DEFAULT '',
                PRIMARY KEY (message, subscription)
            ) WITHOUT ROWID;
            CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (subscription, due, message, attempts, holder);
            """
        )
        # Ids never return, not even after the file was thrown away: they go on from the clock.
        [(last,)] = db.execute("SELECT coalesce(max(id), 0) FROM messages").fetchall()
        self._ids = itertools.count(max(int(now * 1e6), last + 1))

    def publish(self, topic: str, messages: Sequence[Proto], now: float) -> list[str]:
        """Give every message an id and a publish time, and queue it for each subscription of the topic."""
        self._catalogue.topic(topic)
        with self._db:
            ids = self._enqueue(topic, messages, now)
        return [str(number) for number in ids]

    def lease(self, name: str, limit: int, now: float, lease: float | None = None, holder: str = "") -> list[Proto]:
        """Hand out at most `limit` messages that are due, oldest first, for `lease` seconds.

        Messages that have used up their attempts go to the dead-letter topic instead.

        Returns raw ReceivedMessages; `delivery_attempt` is set where there is a dead-letter policy, as Google does it.
        """
        entry = self._catalogue.subscription(name)
        lease = entry.config.ack_deadline_seconds if lease is None else lease
        limit = min(limit, MAX_LEASED)
        with self._db:
            while True:
                due, exhausted = self._due(entry, limit, now)
                if not exhausted:
                    break
                self._dead_letter(entry, exhausted, now)
            self._db.executemany(
                "UPDATE deliveries SET due = ?, attempts = ?, holder = ? WHERE message = ? AND subscription = ?",
                [
                    (now + lease + self._rest(entry, attempt), attempt, holder, message, entry.number)
                    for message, attempt, _ in due
                ],
            )
        counts = entry.config.HasField("dead_letter_policy")
        return [
            ReceivedMessage(
                ack_id=f"{entry.number}-{message}-{attempt}",
                message=PubsubMessage.FromString(body),
                delivery_attempt=attempt if counts else 0,
            )
            for message, attempt, body in due
        ]

    def acknowledge(self, name: str, ack_ids: Iterable[str]) -> None:
        """Forget the messages. An ack that comes after its lease still counts: the work is done."""
        entry = self._catalogue.subscription(name)
        done = [message for message, _ in _deliveries(entry, ack_ids)]
        with self._db:
            self._remove(entry, done)
        self._arrived(name)

    def modify_ack_deadline(self, name: str, ack_ids: Iterable[str], lease: int, now: float) -> None:
        """Let the lease end `lease` seconds from now; 0 gives the message back. A lease that has moved on stays."""
        if not 0 <= lease <= MAX_ACK_SECONDS:
            raise invalid(f"An ack deadline must lie between 0 and {MAX_ACK_SECONDS} seconds.")
        entry = self._catalogue.subscription(name)
        held = list(_deliveries(entry, ack_ids))
        with self._db:
            self._db.executemany(
                "UPDATE deliveries SET due = ?, holder = iif(?, holder, '')"
                " WHERE message = ? AND subscription = ? AND attempts = ?",
                [
                    (now + lease + self._rest(entry, attempt), lease, message, entry.number, attempt)
                    for message, attempt in held
                ],
            )
        if lease == 0:
            self._arrived(name)

    def return_all(self, name: str, now: float) -> None:
        """End every lease and backoff: whoever held them is gone."""
        entry = self._catalogue.subscription(name)
        with self._db:
            self._db.execute(
                "UPDATE deliveries SET due = ?1, holder = '' WHERE subscription = ?2 AND due > ?1", (now, entry.number)
            )
        self._arrived(name)

    def next_due(self, name: str) -> float | None:
        """The instant from which the next message may be handed out, or None when nothing is left."""
        query = "SELECT min(due) FROM deliveries WHERE subscription = ?"
        [(due,)] = self._db.execute(query, (self._catalogue.subscription(name).number,)).fetchall()
        return None if due is None else float(due)

    def held(self, name: str, holder: str, now: float) -> int:
        """How many messages the holder has and has not answered for."""
        query = "SELECT count(*) FROM deliveries WHERE subscription = ? AND due > ? AND holder = ?"
        parameters = (self._catalogue.subscription(name).number, now, holder)
        [(count,)] = self._db.execute(query, parameters).fetchall()
        return int(count)

    def discard(self, entry: Entry) -> None:
        """Forget everything of a subscription that was deleted."""
        with self._db:
            self._db.execute("DELETE FROM deliveries WHERE subscription = ?", (entry.number,))
            self._remove_orphans()

    def dead_letter_due(self, now: float) -> None:
        """Move what has used up its attempts to the dead-letter topics, also where nobody pulls."""
        for entry in list(self._catalogue.subscriptions.values()):
            allowed = self._allowed_attempts(entry)
            if allowed is None:
                continue
            exhausted = self._db.execute(
                "SELECT message, attempts, body FROM deliveries JOIN messages ON id = message"
                " WHERE subscription = ? AND due <= ? AND attempts >= ? LIMIT ?",
                (entry.number, now, allowed, MAX_LEASED),
            ).fetchall()
            if exhausted:
                with self._db:
                    self._dead_letter(entry, exhausted, now)

    def drop_expired(self, now: float) -> None:
        """Drop what is older than its subscription's retention, as Google does, and say how much it was."""
        first = self._db.execute("SELECT published FROM messages ORDER BY id LIMIT 1").fetchone()
        for entry in list(self._catalogue.subscriptions.values()):
            oldest = now - seconds(entry.config.message_retention_duration)
            if first is None or first[0] >= oldest:
                continue
            with self._db:
                dropped = self._db.execute(
                    "DELETE FROM deliveries WHERE subscription = ?"
                    " AND message IN (SELECT id FROM messages WHERE published < ?)",
                    (entry.number, oldest),
                ).rowcount
                self._remove_orphans()
            if dropped:
                logger.warning("%s: %d messages outlived the retention and are dropped", entry.config.name, dropped)

    def _enqueue(self, topic: str, messages: Sequence[Proto], now: float) -> list[int]:
        ids = list(itertools.islice(self._ids, len(messages)))
        subscribers = self._catalogue.subscribers(topic)
        if not subscribers:
            return ids
        bodies = []
        for number, message in zip(ids, messages, strict=True):
            message.message_id = str(number)
            message.publish_time.FromNanoseconds(int(now * 1000) * 1_000_000)
            bodies.append((number, now, message.SerializeToString()))
        self._db.executemany("INSERT INTO messages (id, published, body) VALUES (?, ?, ?)", bodies)
        for entry in subscribers:
            self._db.executemany(
                "INSERT INTO deliveries (message, subscription, due) VALUES (?, ?, ?)",
                [(number, entry.number, now) for number in ids],
            )
            self._arrived(entry.config.name)
        return ids

    def _due(
        self, entry: Entry, limit: int, now: float
    ) -> tuple[list[tuple[int, int, bytes]], list[tuple[int, int, bytes]]]:
        """What may be handed out now, as (message, number of this attempt, body), and what has used up its attempts."""
        allowed = self._allowed_attempts(entry)
        due: list[tuple[int, int, bytes]] = []
        exhausted: list[tuple[int, int, bytes]] = []
        size = 0
        rows = self._db.execute(
            "SELECT message, attempts, body FROM deliveries JOIN messages ON id = message"
            " WHERE subscription = ? AND due <= ? ORDER BY due, message LIMIT ?",
            (entry.number, now, limit),
        )
        for message, attempts, body in rows:
            if allowed is not None and attempts >= allowed:
                exhausted.append((message, attempts, body))
                continue
            size += len(body)
            if due and size > MAX_LEASED_BYTES:
                break
            due.append((message, attempts + 1, body))
        return due, exhausted

    def _allowed_attempts(self, entry: Entry) -> int | None:
        """After how many a message is a dead letter; None when it never is, for want of a policy or of its topic."""
        policy = entry.config.dead_letter_policy
        return int(policy.max_delivery_attempts) if policy.dead_letter_topic in self._catalogue.topics else None

    def _rest(self, entry: Entry, attempt: int) -> float:
        """How many seconds a message rests after its `attempt`-th delivery failed; not at all after the last one."""
        allowed = self._allowed_attempts(entry)
        return 0.0 if allowed is not None and attempt >= allowed else _backoff(entry.config, attempt)

    def _dead_letter(self, entry: Entry, rows: Sequence[tuple[int, int, bytes]], now: float) -> None:
        """Publish the messages to the dead-letter topic, with Google's attributes that say where they come from."""
        topic = entry.config.dead_letter_policy.dead_letter_topic
        _, project, _, short_name = entry.config.name.split("/")
        letters = []
        for _, attempts, body in rows:
            letter = PubsubMessage.FromString(body)
            published = datetime.fromtimestamp(letter.publish_time.ToMilliseconds() / 1000, UTC)
            letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = str(attempts)
            letter.attributes["CloudPubSubDeadLetterSourceSubscription"] = short_name
            letter.attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] = project
            letter.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] = rfc3339(published)
            letters.append(letter)
        if not self._catalogue.subscribers(topic):
            logger.warning("%s: %d dead letters are lost, for nobody subscribes to their topic", topic, len(letters))
        self._enqueue(topic, letters, now)
        self._remove(entry, [message for message, _, _ in rows])

    def _remove(self, entry: Entry, messages: Sequence[int]) -> None:
        self._db.executemany(
            "DELETE FROM deliveries WHERE message = ? AND subscription = ?",
            [(message, entry.number) for message in messages],
        )
        self._db.executemany(
            "DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message = ?1)",
            [(message,) for message in messages],
        )

    def _remove_orphans(self) -> None:
        self._db.execute("DELETE FROM messages WHERE id NOT IN (SELECT message FROM deliveries)")


def rfc3339(instant: datetime) -> str:
    """UTC with milliseconds, as Google prints it: `2021-02-26T19:13:55.749Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _backoff(config: Proto, attempt: int) -> float:
    if config.HasField("retry_policy"):
        low, high = seconds(config.retry_policy.minimum_backoff), seconds(config.retry_policy.maximum_backoff)
    elif config.push_config.push_endpoint:
        low, high = PUSH_MIN_BACKOFF, PUSH_MAX_BACKOFF
    else:
        return 0.0
    return min(high, low * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS))


def _deliveries(entry: Entry, ack_ids: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The (message, attempt) behind each ack id of this subscription; an id of another subscription is passed over."""
    for ack_id in ack_ids:
        try:
            number, message, attempt = map(int, ack_id.split("-"))
        except ValueError:
            raise invalid(f"Invalid ack id (ack_id={ack_id}).") from None
        if number == entry.number:
            yield message, attempt
