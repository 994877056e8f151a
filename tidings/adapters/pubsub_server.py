"""An embedded Pub/Sub: unmodified Google clients and Beam's ReadFromPubSub run against it, with no cloud and no Java.

Point PUBSUB_EMULATOR_HOST at it. It is a development default; production is Google's Pub/Sub, and one contract suite
runs on this server and on Google's emulator. It keeps what makes programs correct: durable messages, ack deadlines and
redelivery, retry policies, dead-letter topics, push with retries, retention, Google's limits and status codes.
It answers an empty Pull after `empty_pull_seconds`, which is what keeps the timers of Beam's DirectRunner punctual.

What it does not do: ordering keys are kept and handed back, and do not order; filters, schemas, snapshots, seek,
exactly-once delivery and push authentication are refused. There is no authentication: bind it to this machine only.

As a process: `python -m tidings.adapters.pubsub_server --path pubsub.db --port 8085` prints `host:port` when it serves.
"""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc

from tidings.adapters import pubsub_publishing
from tidings.adapters.pubsub_broker import Broker
from tidings.adapters.pubsub_push import Pusher
from tidings.adapters.pubsub_subscribing import Subscriber

KEEPER_SECONDS = 1.0
RETENTION_SECONDS = 60.0
TIDY_SECONDS = 5.0
STOP_SECONDS = 5.0
HANDLER_THREADS = 100
"""Each waiting Pull and each StreamingPull holds one; they are made when needed."""


class PubSubServer:
    """One server. Use it as a context manager, or call `start` and `stop`.

    Args:
        path: the SQLite file that survives a restart; None keeps everything in memory.
        port: 0 takes a free one.
        host: the address to listen on.
        empty_pull_seconds: how long a Pull without messages waits for one.
        push_workers: how many push requests may be under way for one subscription.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        empty_pull_seconds: float = 0.05,
        push_workers: int = 8,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._listen = f"{host}:{port}"
        self._host = host
        self._broker = Broker(Path(path) if path else None, clock)
        self._pusher = Pusher(self._broker, push_workers)
        subscriber = Subscriber(self._broker, self._pusher, empty_pull_seconds)
        self._server = grpc.server(
            ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="pubsub"),
            options=[
                ("grpc.so_reuseport", 0),  # a port that is taken is an error, and not shared
                ("grpc.max_receive_message_length", -1),  # Publish checks its own limit
            ],
        )
        for service, handlers in {
            "google.pubsub.v1.Publisher": pubsub_publishing.handlers(self._broker),
            "google.pubsub.v1.Subscriber": subscriber.handlers(),
        }.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self._stopped = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="pubsub keeper", daemon=True)

    def start(self) -> str:
        """Serve, and return `host:port`.

        Raises:
            RuntimeError: the port is taken.
        """
        try:
            port = self._server.add_insecure_port(self._listen)
        except RuntimeError:
            self._broker.close()
            raise
        self._server.start()
        with self._broker.lock:
            self._pusher.follow()
        self._keeper.start()
        return f"{self._host}:{port}"

    def stop(self) -> None:
        """Finish what is under way, for a few seconds at most, and close the file. It cannot be started again."""
        self._stopped.set()
        self._broker.stop()
        self._server.stop(STOP_SECONDS).wait()
        self._keeper.join()
        self._pusher.join(STOP_SECONDS)
        self._broker.close()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _keep(self) -> None:
        """What nobody asks for: dead letters that nobody pulls, the end of retention, workers for broken ones."""
        broker = self._broker
        next_retention, next_tidying = 0.0, time.monotonic() + TIDY_SECONDS
        while not self._stopped.wait(KEEPER_SECONDS):
            with broker.lock:
                self._pusher.follow()
                broker.backlog.dead_letter_due(broker.clock())
                if time.monotonic() >= next_retention:
                    broker.backlog.drop_expired(broker.clock())
                    next_retention = time.monotonic() + RETENTION_SECONDS
                if time.monotonic() >= next_tidying:
                    broker.tidy()
                    next_tidying = time.monotonic() + TIDY_SECONDS


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tidings.adapters.pubsub_server", description="An embedded Pub/Sub")
    parser.add_argument("--path", type=Path, help="the SQLite file; without it everything is kept in memory")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--empty-pull-seconds", type=float, default=0.05)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    over = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: over.set())
    with PubSubServer(
        arguments.path, arguments.port, arguments.host, empty_pull_seconds=arguments.empty_pull_seconds
    ) as address:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        over.wait()


if __name__ == "__main__":
    main()
