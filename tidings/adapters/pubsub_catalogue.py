"""The topics and subscriptions of the embedded Pub/Sub: which exist, and what may be asked of them.

Not thread-safe: the server calls it under its one lock. Everything is written to SQLite before a call returns.
What this server cannot honour is refused by name, rather than stored and ignored.
Source of fields, defaults and limits: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1
"""

import re
import sqlite3
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
from google.pubsub_v1 import types

from tidings.errors import TidingsError

Proto = Any
"""A raw protobuf message. google-cloud-pubsub's wrappers around them cost several times as much per message."""

Topic, Subscription, PushConfig = types.Topic.pb(), types.Subscription.pb(), types.PushConfig.pb()

DELETED_TOPIC = "_deleted-topic_"
DEFAULT_ACK_SECONDS, MIN_ACK_SECONDS, MAX_ACK_SECONDS = 10, 10, 600
DEFAULT_RETENTION, MIN_RETENTION, MAX_RETENTION = 7 * 86_400, 600, 31 * 86_400
DEFAULT_ATTEMPTS, MIN_ATTEMPTS, MAX_ATTEMPTS = 5, 5, 100
DEFAULT_MIN_BACKOFF, DEFAULT_MAX_BACKOFF, MAX_BACKOFF = 10, 600, 600

_NAME = re.compile(r"projects/[^/]+/(topics|subscriptions)/(?!goog)[A-Za-z][\w.~+%-]{2,254}", re.ASCII)
_ACCEPTED = {
    "Topic": {"name", "labels", "tags", "state", "message_storage_policy", "message_retention_duration"},
    "Subscription": {
        *("name", "topic", "push_config", "ack_deadline_seconds", "message_retention_duration"),
        *("dead_letter_policy", "retry_policy", "labels", "tags", "state", "expiration_policy"),
        *("retain_acked_messages", "enable_message_ordering"),
    },
    "PushConfig": {"push_endpoint", "attributes", "pubsub_wrapper"},
}
_IMMUTABLE = {"name", "topic", "enable_message_ordering"}


class RefusedError(TidingsError):
    """The request cannot be met. `code` is the gRPC status that tells the caller whose fault it is."""

    def __init__(self, code: grpc.StatusCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def invalid(detail: str) -> RefusedError:
    """The caller's fault."""
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, detail)


class Entry(NamedTuple):
    """A subscription: the number that stands for it in the database (never used twice), and its configuration."""

    number: int
    config: Proto


class Catalogue:
    """Topics and subscriptions by full name, in memory and in SQLite.

    All methods take and return raw protobuf messages, and raise `RefusedError`.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        with db:
            db.execute("CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, body BLOB NOT NULL)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS subscriptions"
                " (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, body BLOB NOT NULL)"
            )
        self.topics: dict[str, Proto] = {
            name: Topic.FromString(body) for name, body in db.execute("SELECT name, body FROM topics")
        }
        self.subscriptions: dict[str, Entry] = {
            name: Entry(number, Subscription.FromString(body))
            for number, name, body in db.execute("SELECT number, name, body FROM subscriptions")
        }

    def topic(self, name: str) -> Proto:
        """The topic, or NOT_FOUND."""
        if name not in self.topics:
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Topic not found (resource={name}).")
        return self.topics[name]

    def subscription(self, name: str) -> Entry:
        """The subscription, or NOT_FOUND."""
        if name not in self.subscriptions:
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Subscription does not exist (resource={name}).")
        return self.subscriptions[name]

    def pullable(self, name: str) -> Entry:
        """The subscription, or NOT_FOUND; FAILED_PRECONDITION when it pushes."""
        entry = self.subscription(name)
        if entry.config.push_config.push_endpoint:
            detail = "This method is not supported for this subscription type."
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, detail)
        return entry

    def subscribers(self, topic: str) -> list[Entry]:
        """The subscriptions that a message published to the topic goes to."""
        return [entry for entry in self.subscriptions.values() if entry.config.topic == topic]

    def create_topic(self, topic: Proto) -> Proto:
        """Add a topic; ALREADY_EXISTS when there is one of the name."""
        _check_name(topic.name, "topics")
        _check_fields(topic)
        if topic.name in self.topics:
            raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, f"Topic already exists (resource={topic.name}).")
        return self._save_topic(topic)

    def update_topic(self, topic: Proto, mask: Proto) -> Proto:
        """Replace the fields that the mask names."""
        merged = _merged(self.topic(topic.name), topic, mask)
        _check_fields(merged)
        return self._save_topic(merged)

    def delete_topic(self, name: str) -> None:
        """Remove a topic. Its subscriptions stay, with what they still hold, and belong to no topic any more."""
        self.topic(name)
        with self._db:
            self._db.execute("DELETE FROM topics WHERE name = ?", (name,))
        del self.topics[name]
        for entry in self.subscribers(name):
            entry.config.topic = DELETED_TOPIC
            self._save_subscription(entry.config)

    def create_subscription(self, subscription: Proto) -> Proto:
        """Add a subscription, its defaults filled in; ALREADY_EXISTS when there is one of the name."""
        _check_name(subscription.name, "subscriptions")
        if subscription.name in self.subscriptions:
            detail = f"Subscription already exists (resource={subscription.name})."
            raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, detail)
        self.topic(subscription.topic)
        return self._save_subscription(self._completed(subscription))

    def update_subscription(self, subscription: Proto, mask: Proto) -> Proto:
        """Replace the fields that the mask names."""
        merged = _merged(self.subscription(subscription.name).config, subscription, mask)
        return self._save_subscription(self._completed(merged))

    def delete_subscription(self, name: str) -> Entry:
        """Remove a subscription, and return what it was."""
        entry = self.subscription(name)
        with self._db:
            self._db.execute("DELETE FROM subscriptions WHERE number = ?", (entry.number,))
        return self.subscriptions.pop(name)

    def _save_topic(self, topic: Proto) -> Proto:
        with self._db:
            self._db.execute("REPLACE INTO topics VALUES (?, ?)", (topic.name, topic.SerializeToString()))
        self.topics[topic.name] = topic
        return topic

    def _save_subscription(self, config: Proto) -> Proto:
        with self._db:
            [(number,)] = self._db.execute(
                "INSERT INTO subscriptions (name, body) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET body = excluded.body RETURNING number",
                (config.name, config.SerializeToString()),
            ).fetchall()
        self.subscriptions[config.name] = Entry(number, config)
        return config

    def _completed(self, config: Proto) -> Proto:
        """The configuration with Google's defaults, after every check."""
        _check_fields(config)
        _check_push_config(config.push_config)
        config.ack_deadline_seconds = config.ack_deadline_seconds or DEFAULT_ACK_SECONDS
        _check_range("ack_deadline_seconds", config.ack_deadline_seconds, MIN_ACK_SECONDS, MAX_ACK_SECONDS)
        retention = config.message_retention_duration
        retention.seconds = retention.seconds or DEFAULT_RETENTION
        _check_range("message_retention_duration", retention.seconds, MIN_RETENTION, MAX_RETENTION)
        if config.HasField("retry_policy"):
            _complete_retry_policy(config.retry_policy)
        if config.HasField("dead_letter_policy"):
            policy = config.dead_letter_policy
            self.topic(policy.dead_letter_topic)
            policy.max_delivery_attempts = policy.max_delivery_attempts or DEFAULT_ATTEMPTS
            if not MIN_ATTEMPTS <= policy.max_delivery_attempts <= MAX_ATTEMPTS:
                detail = f"max_delivery_attempts must lie between {MIN_ATTEMPTS} and {MAX_ATTEMPTS}."
                raise RefusedError(grpc.StatusCode.OUT_OF_RANGE, detail)
        return config


def _check_push_config(config: Proto) -> None:
    _check_fields(config)
    if config.push_endpoint and not _is_url(config.push_endpoint):
        raise invalid("push_endpoint must be an http or https URL.")


def _is_url(text: str) -> bool:
    """Whether http.client can POST to it."""
    try:
        url = urlsplit(text)
        usable = url.port is None or url.port > 0  # reading the port checks it
    except ValueError:
        return False
    visible = text.isascii() and text.isprintable() and " " not in text
    return usable and visible and url.scheme in {"http", "https"} and bool(url.hostname)


def _complete_retry_policy(policy: Proto) -> None:
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = DEFAULT_MIN_BACKOFF
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = DEFAULT_MAX_BACKOFF
    low, high = seconds(policy.minimum_backoff), seconds(policy.maximum_backoff)
    if not 0 <= low <= high <= MAX_BACKOFF:
        raise invalid(f"retry_policy needs 0 <= minimum_backoff <= maximum_backoff <= {MAX_BACKOFF} seconds.")


def seconds(duration: Proto) -> float:
    """A protobuf Duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


def _check_name(name: str, collection: str) -> None:
    match = _NAME.fullmatch(name)
    if match is None or match[1] != collection:
        raise invalid(f"Invalid {collection} name (name={name}).")


def _check_fields(message: Proto) -> None:
    kind = message.DESCRIPTOR.name
    for field, _ in message.ListFields():
        if field.name not in _ACCEPTED[kind]:
            raise invalid(f"{kind}.{field.name} is not supported by this server.")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise invalid(f"{name} must lie between {low} and {high}, and is {value}.")


def _merged(current: Proto, update: Proto, mask: Proto) -> Proto:
    if not mask.paths or not mask.IsValidForDescriptor(current.DESCRIPTOR):
        raise invalid(f"update_mask must name fields of {current.DESCRIPTOR.name}.")
    for path in mask.paths:
        if path in _IMMUTABLE:
            raise invalid(f"{path} cannot be changed.")
    merged = type(current)()
    merged.CopyFrom(current)
    mask.MergeMessage(update, merged, replace_message_field=True, replace_repeated_field=True)
    return merged
