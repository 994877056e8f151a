"""Push delivery of the embedded Pub/Sub: a push subscription is a few workers that pull for its endpoint.

A worker leases one message, POSTs it as Google documents it, and acknowledges or returns it. What it needs to know it
reads anew for every message, so that a changed endpoint is followed and a deleted subscription ends its workers.
Source: https://cloud.google.com/pubsub/docs/push
"""

import base64
import json
import logging
import threading
import time
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from tidings.adapters.pubsub_backlog import rfc3339
from tidings.adapters.pubsub_broker import Broker
from tidings.adapters.pubsub_catalogue import Proto

SUCCESS = frozenset({102, 200, 201, 202, 204})
"""The answers that acknowledge a message; every other one asks for it again."""

IDLE_SECONDS = 60.0

logger = logging.getLogger(__name__)


def envelope(subscription: str, received: Proto) -> bytes:
    """The JSON body of a push request. Keys of empty fields are left out, as Google does."""
    message = received.message
    published = rfc3339(datetime.fromtimestamp(message.publish_time.ToMilliseconds() / 1000, UTC))
    inner: dict[str, Any] = {
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if message.data:
        inner["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        inner["attributes"] = dict(message.attributes)
    if message.ordering_key:
        inner["orderingKey"] = message.ordering_key
    outer: dict[str, Any] = {"message": inner, "subscription": subscription}
    if received.delivery_attempt:
        outer["deliveryAttempt"] = received.delivery_attempt
    return json.dumps(outer).encode()


def post(url: str, body: bytes, timeout: float) -> int | None:
    """POST one message. Redirects are not followed, as Google does not.

    Returns the HTTP status, or None when there was no answer within `timeout` seconds.
    """
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "Tidings-PubSub"}
    try:
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


class Pusher:
    """The workers of all push subscriptions.

    Args:
        broker: what there is to deliver.
        workers: how many requests may be under way for one subscription.
    """

    def __init__(self, broker: Broker, workers: int) -> None:
        self._broker = broker
        self._workers = workers
        self._threads: dict[str, list[threading.Thread]] = {}

    def follow(self) -> None:
        """See that every push subscription has its workers. Call it with the lock held, after any change."""
        if self._broker.stopping:
            return
        for name, entry in self._broker.catalogue.subscriptions.items():
            if not entry.config.push_config.push_endpoint:
                continue
            threads = self._threads.setdefault(name, [])
            if not threads:
                self._broker.backlog.return_all(name, self._broker.clock())  # what earlier workers still held
            while len(threads) < self._workers:
                threads.append(threading.Thread(target=self._work, args=(name,), name=f"push {name}", daemon=True))
                threads[-1].start()

    def join(self, timeout: float) -> None:
        """Wait for requests under way, after the broker was told to stop; at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._broker.lock:
            workers = [thread for threads in self._threads.values() for thread in threads]
        for thread in workers:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, name: str) -> None:
        try:
            while (task := self._next(name)) is not None:
                self._deliver(name, *task)
        finally:
            with self._broker.lock:
                self._threads[name].remove(threading.current_thread())  # and `follow` replaces one that broke

    def _deliver(self, name: str, url: str, timeout: float, received: Proto) -> None:
        broker = self._broker
        status = post(url, envelope(name, received), timeout)
        with broker.lock:
            if broker.closed or name not in broker.catalogue.subscriptions:
                return  # nobody is left to be told
            if status in SUCCESS:
                broker.backlog.acknowledge(name, [received.ack_id])
                return
            broker.backlog.modify_ack_deadline(name, [received.ack_id], 0, broker.clock())
        answer = "no answer" if status is None else f"HTTP {status}"
        logger.warning("%s: %s to message %s; it comes again", name, answer, received.message.message_id)

    def _next(self, name: str) -> tuple[str, float, Proto] | None:
        """Wait for a message to deliver: endpoint, timeout in seconds, message; None when the work is over."""
        broker = self._broker
        with broker.lock:
            while not broker.stopping:
                entry = broker.catalogue.subscriptions.get(name)
                if entry is None or not entry.config.push_config.push_endpoint:
                    break
                received = broker.backlog.lease(name, 1, broker.clock())
                if received:
                    return entry.config.push_config.push_endpoint, entry.config.ack_deadline_seconds, received[0]
                broker.wait_until_due(name, IDLE_SECONDS)
        return None
