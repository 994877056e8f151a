"""A Firestore that holds nothing, and answers every call as it is told: Google's emulator never refuses anybody."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc


class ScriptedFirestore(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Listens on a free port.

    Attributes:
        address: what FIRESTORE_EMULATOR_HOST must say.
        refusal: the status of every answer from now on; None for an answer that finds nothing.
        calls: how many there have been.
    """

    def __init__(self, refusal: grpc.StatusCode | None = None) -> None:
        self.refusal = refusal
        self.calls = 0
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        """Every method is answered alike; one answer is a stream of one."""
        return grpc.unary_stream_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> Any:
        self.calls += 1
        if self.refusal is not None:
            context.abort(self.refusal, "profiles/ann@example.com is none of your business")
        return iter(())
