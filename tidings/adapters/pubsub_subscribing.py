"""`google.pubsub.v1.Subscriber` of the embedded Pub/Sub: subscriptions, and messages out of them.

Snapshots and seek are missing, and answered with UNIMPLEMENTED by gRPC itself.
Source: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#subscriber
"""

import time

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from tidings.adapters.pubsub_broker import Broker
from tidings.adapters.pubsub_catalogue import Proto, invalid
from tidings.adapters.pubsub_push import Pusher
from tidings.adapters.pubsub_rpc import page, unary
from tidings.adapters.pubsub_streaming import streaming_pull

Subscription = types.Subscription.pb()
ListSubscriptionsResponse = types.ListSubscriptionsResponse.pb()
PullRequest, PullResponse = types.PullRequest.pb(), types.PullResponse.pb()


class Subscriber:
    """The methods over one broker.

    Args:
        broker: the state.
        pusher: told whenever subscriptions change.
        empty_pull_seconds: how long a Pull waits for a first message.
    """

    def __init__(self, broker: Broker, pusher: Pusher, empty_pull_seconds: float) -> None:
        self._broker = broker
        self._catalogue = broker.catalogue
        self._backlog = broker.backlog
        self._pusher = pusher
        self._empty_pull_seconds = empty_pull_seconds

    def handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        """The handlers by method name."""
        methods = {
            "CreateSubscription": (self._create, Subscription, Subscription),
            "GetSubscription": (self._get, types.GetSubscriptionRequest.pb(), Subscription),
            "UpdateSubscription": (self._update, types.UpdateSubscriptionRequest.pb(), Subscription),
            "DeleteSubscription": (self._delete, types.DeleteSubscriptionRequest.pb(), Empty),
            "ListSubscriptions": (self._list, types.ListSubscriptionsRequest.pb(), ListSubscriptionsResponse),
            "ModifyPushConfig": (self._modify_push_config, types.ModifyPushConfigRequest.pb(), Empty),
            "Pull": (self._pull, PullRequest, PullResponse),
            "Acknowledge": (self._acknowledge, types.AcknowledgeRequest.pb(), Empty),
            "ModifyAckDeadline": (self._modify_ack_deadline, types.ModifyAckDeadlineRequest.pb(), Empty),
        }
        return {name: unary(self._broker, *method) for name, method in methods.items()} | {
            "StreamingPull": streaming_pull(self._broker)
        }

    def _create(self, request: Proto) -> Proto:
        created = self._catalogue.create_subscription(request)
        self._pusher.follow()
        return created

    def _get(self, request: Proto) -> Proto:
        return self._catalogue.subscription(request.subscription).config

    def _update(self, request: Proto) -> Proto:
        updated = self._catalogue.update_subscription(request.subscription, request.update_mask)
        self._pusher.follow()
        return updated

    def _delete(self, request: Proto) -> None:
        self._backlog.discard(self._catalogue.delete_subscription(request.subscription))

    def _list(self, request: Proto) -> Proto:
        names = [name for name in self._catalogue.subscriptions if name.startswith(f"{request.project}/")]
        shown, token = page(names, request)
        configs = [self._catalogue.subscriptions[name].config for name in shown]
        return ListSubscriptionsResponse(subscriptions=configs, next_page_token=token)

    def _modify_push_config(self, request: Proto) -> None:
        change = Subscription(name=request.subscription, push_config=request.push_config)
        self._update(
            types.UpdateSubscriptionRequest.pb()(subscription=change, update_mask=FieldMask(paths=["push_config"]))
        )

    def _pull(self, request: Proto) -> Proto:
        if request.max_messages <= 0:
            raise invalid("max_messages must be at least 1.")
        wait = 0.0 if request.return_immediately else self._empty_pull_seconds
        deadline = time.monotonic() + wait
        name = request.subscription
        while True:
            self._catalogue.pullable(name)
            received = self._backlog.lease(name, request.max_messages, self._broker.clock())
            left = deadline - time.monotonic()
            if received or left <= 0 or self._broker.stopping:
                return PullResponse(received_messages=received)
            self._broker.wait_until_due(name, left)

    def _acknowledge(self, request: Proto) -> None:
        if not request.ack_ids:
            raise invalid("No ack ids specified.")
        self._backlog.acknowledge(request.subscription, request.ack_ids)

    def _modify_ack_deadline(self, request: Proto) -> None:
        if not request.ack_ids:
            raise invalid("No ack ids specified.")
        self._backlog.modify_ack_deadline(
            request.subscription, request.ack_ids, request.ack_deadline_seconds, self._broker.clock()
        )
