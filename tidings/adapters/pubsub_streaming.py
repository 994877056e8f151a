"""StreamingPull of the embedded Pub/Sub: messages flow out while acknowledgements flow in.

`max_outstanding_messages` is honoured, `max_outstanding_bytes` is not.
Source: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#streamingpullrequest
"""

import itertools
import threading
import uuid
from collections.abc import Iterator

import grpc
from google.pubsub_v1 import types

from tidings.adapters.pubsub_backlog import MAX_LEASED
from tidings.adapters.pubsub_broker import Broker
from tidings.adapters.pubsub_catalogue import MAX_ACK_SECONDS, MIN_ACK_SECONDS, Proto, RefusedError, invalid

IDLE_SECONDS = 1.0
"""How often a stream looks whether a lease of its own ran out, when nothing else wakes it."""

Request, Response = types.StreamingPullRequest.pb(), types.StreamingPullResponse.pb()


def streaming_pull(broker: Broker) -> grpc.RpcMethodHandler:
    """The handler. One thread sends, and one listens to the client."""

    def handle(requests: Iterator[Proto], context: grpc.ServicerContext) -> Iterator[Proto]:
        try:
            first = next(requests)
            stream = _Stream(broker, first)
            if not context.add_callback(stream.end):
                return  # it is over already
            listener = threading.Thread(target=stream.listen, args=(itertools.chain([first], requests),), daemon=True)
            listener.start()
            while (received := stream.receive()) is not None:
                yield Response(received_messages=received)
        except RefusedError as refused:
            context.abort(refused.code, str(refused))
        except StopIteration:
            return  # the client said nothing at all

    return grpc.stream_stream_rpc_method_handler(
        handle, request_deserializer=Request.FromString, response_serializer=Response.SerializeToString
    )


class _Stream:
    def __init__(self, broker: Broker, first: Proto) -> None:
        self._broker = broker
        self._name = first.subscription
        self._room = first.max_outstanding_messages if first.max_outstanding_messages > 0 else None
        self._lease = first.stream_ack_deadline_seconds
        if not MIN_ACK_SECONDS <= self._lease <= MAX_ACK_SECONDS:
            raise invalid(f"stream_ack_deadline_seconds must lie between {MIN_ACK_SECONDS} and {MAX_ACK_SECONDS}.")
        self._holder = uuid.uuid4().hex
        self._ended = False
        self._fault: RefusedError | None = None

    def end(self) -> None:
        """Make `receive` return None: the client has gone."""
        with self._broker.lock:
            self._ended = True
            self._broker.wake(self._name)

    def listen(self, requests: Iterator[Proto]) -> None:
        """Acknowledge and extend as the client asks, until it has gone or asks for nonsense."""
        try:
            for request in requests:
                with self._broker.lock:
                    self._apply(request)
        except RefusedError as refused:
            self._fault = refused
        except grpc.RpcError:
            pass  # the stream was cut, which `end` hears of as well
        self.end()

    def receive(self) -> list[Proto] | None:
        """Wait for messages. None when the stream is over; `RefusedError` when it has to be aborted."""
        broker = self._broker
        with broker.lock:
            while not (self._ended or broker.stopping):
                now = broker.clock()
                broker.catalogue.pullable(self._name)
                room = MAX_LEASED
                if self._room is not None:
                    room = self._room - broker.backlog.held(self._name, self._holder, now)
                if room <= 0:
                    broker.wait_for_change(self._name, IDLE_SECONDS)
                elif received := broker.backlog.lease(self._name, room, now, self._lease, self._holder):
                    return received
                else:
                    broker.wait_until_due(self._name, IDLE_SECONDS)
        if self._fault is not None:
            raise self._fault
        if broker.stopping:
            raise RefusedError(grpc.StatusCode.UNAVAILABLE, "The server is stopping.")  # clients come back after this
        return None

    def _apply(self, request: Proto) -> None:
        now = self._broker.clock()
        if request.stream_ack_deadline_seconds:
            self._lease = request.stream_ack_deadline_seconds
        if request.ack_ids:
            self._broker.backlog.acknowledge(self._name, request.ack_ids)
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise invalid("modify_deadline_ack_ids and modify_deadline_seconds must have the same length.")
        for ack_id, lease in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True):
            self._broker.backlog.modify_ack_deadline(self._name, [ack_id], lease, now)
