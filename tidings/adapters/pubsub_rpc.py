"""How a method of the embedded Pub/Sub becomes a gRPC handler: messages stay raw, refusals become status codes."""

from collections.abc import Callable
from typing import Any

import grpc

from tidings.adapters.pubsub_broker import Broker
from tidings.adapters.pubsub_catalogue import Proto, RefusedError

PAGE_SIZE = 1000


def unary(broker: Broker, method: Callable[[Proto], Proto], request: Any, response: Any) -> grpc.RpcMethodHandler:
    """A handler that runs the method while it holds the broker's lock; None answers with an empty `response`."""

    def handle(message: Proto, context: grpc.ServicerContext) -> Proto:
        try:
            with broker.lock:
                answer = method(message)
        except RefusedError as refused:
            context.abort(refused.code, str(refused))
        return response() if answer is None else answer

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


def page(names: list[str], request: Proto) -> tuple[list[str], str]:
    """One page of the sorted names, and the token of the next page, or an empty one."""
    rest = sorted(name for name in names if name > request.page_token)
    size = min(request.page_size or PAGE_SIZE, PAGE_SIZE)
    return rest[:size], rest[size - 1] if len(rest) > size else ""
