"""`google.pubsub.v1.Publisher` of the embedded Pub/Sub: topics, and messages into them.

Source: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#publisher and
https://cloud.google.com/pubsub/quotas#resource_limits
"""

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from tidings.adapters.pubsub_broker import Broker
from tidings.adapters.pubsub_catalogue import Proto, invalid
from tidings.adapters.pubsub_rpc import page, unary

MAX_MESSAGES = 1000
MAX_REQUEST_BYTES = 10_000_000
MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES = 100, 256, 1024

Topic = types.Topic.pb()
ListTopicsResponse, ListTopicSubscriptionsResponse = (
    types.ListTopicsResponse.pb(),
    types.ListTopicSubscriptionsResponse.pb(),
)
PublishResponse = types.PublishResponse.pb()


def handlers(broker: Broker) -> dict[str, grpc.RpcMethodHandler]:
    """The handlers by method name."""
    catalogue = broker.catalogue

    def list_topics(request: Proto) -> Proto:
        names = [name for name in catalogue.topics if name.startswith(f"{request.project}/")]
        shown, token = page(names, request)
        return ListTopicsResponse(topics=[catalogue.topics[name] for name in shown], next_page_token=token)

    def list_topic_subscriptions(request: Proto) -> Proto:
        catalogue.topic(request.topic)
        names = [entry.config.name for entry in catalogue.subscribers(request.topic)]
        shown, token = page(names, request)
        return ListTopicSubscriptionsResponse(subscriptions=shown, next_page_token=token)

    def publish(request: Proto) -> Proto:
        _check(request)
        ids = broker.backlog.publish(request.topic, request.messages, broker.clock())
        return PublishResponse(message_ids=ids)

    return {
        "CreateTopic": unary(broker, catalogue.create_topic, Topic, Topic),
        "GetTopic": unary(broker, lambda request: catalogue.topic(request.topic), types.GetTopicRequest.pb(), Topic),
        "UpdateTopic": unary(
            broker,
            lambda request: catalogue.update_topic(request.topic, request.update_mask),
            types.UpdateTopicRequest.pb(),
            Topic,
        ),
        "DeleteTopic": unary(
            broker, lambda request: catalogue.delete_topic(request.topic), types.DeleteTopicRequest.pb(), Empty
        ),
        "ListTopics": unary(broker, list_topics, types.ListTopicsRequest.pb(), ListTopicsResponse),
        "ListTopicSubscriptions": unary(
            broker,
            list_topic_subscriptions,
            types.ListTopicSubscriptionsRequest.pb(),
            ListTopicSubscriptionsResponse,
        ),
        "Publish": unary(broker, publish, types.PublishRequest.pb(), PublishResponse),
    }


def _check(request: Proto) -> None:
    """Google's limits on one Publish call."""
    if not request.messages:
        raise invalid("No messages to publish.")
    if len(request.messages) > MAX_MESSAGES:
        raise invalid(f"At most {MAX_MESSAGES} messages can be published at once.")
    if request.ByteSize() > MAX_REQUEST_BYTES:
        raise invalid(f"At most {MAX_REQUEST_BYTES} bytes can be published at once.")
    for message in request.messages:
        if message.attributes:
            _check_attributes(message.attributes)
        elif not message.data:
            raise invalid("A message needs data or an attribute.")


def _check_attributes(attributes: Proto) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise invalid(f"A message can have at most {MAX_ATTRIBUTES} attributes.")
    for key, value in attributes.items():
        if not 0 < len(key.encode()) <= MAX_KEY_BYTES or len(value.encode()) > MAX_VALUE_BYTES:
            raise invalid(f"An attribute has 1 to {MAX_KEY_BYTES} bytes of key and at most {MAX_VALUE_BYTES} of value.")
