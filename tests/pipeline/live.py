"""The live pipeline in a process of its own, on the embedded Pub/Sub server and a SQLite store."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import eventually
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription, ensure_topic, pull
from tidings.adapters.sqlite_store import SqliteStore
from tidings.wire import decisions, events
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

PROJECT = "tidings-test"


class Live:
    """Topics, store and pipeline of one test. `PUBSUB_EMULATOR_HOST` must be set."""

    def __init__(self, folder: Path, time_scale: float) -> None:
        for topic in ("events", "sends", "dead"):
            ensure_topic(PROJECT, topic)
        ensure_subscription(PROJECT, "events-pipeline", "events", ack_deadline=10)
        ensure_subscription(PROJECT, "sends-test", "sends")
        ensure_subscription(PROJECT, "dead-test", "dead")
        self._folder, self._time_scale = folder, time_scale
        self.publisher = Publisher(PROJECT)
        self.store = SqliteStore(f"{folder}/store.db")
        self.decided: list[Decision] = []

    def publish(self, *them: Event) -> None:
        """As the front door does."""
        self.publish_raw(*(Message(events.encode(one), {"schema": events.SCHEMA}) for one in them))

    def publish_raw(self, *messages: Message) -> None:
        """Anything at all."""
        self.publisher.publish("events", messages)

    @contextmanager
    def pipeline(self) -> Iterator[subprocess.Popen[Any]]:
        """Running; killed without warning at the end."""
        command = [sys.executable, "-m", "pipeline.main", "--runner=BundleBasedDirectRunner", "--streaming"]
        command += [f"--project={PROJECT}", f"--events_subscription=projects/{PROJECT}/subscriptions/events-pipeline"]
        command += [f"--events_topic=projects/{PROJECT}/topics/events"]
        command += [f"--sends_topic=projects/{PROJECT}/topics/sends"]
        command += [f"--dead_letters_topic=projects/{PROJECT}/topics/dead"]
        command += [
            f"--store=sqlite:{self._folder}/store.db",
            "--refresh_seconds=1",
            f"--time_scale={self._time_scale}",
        ]
        log = self._folder / "pipeline.log"
        with log.open("ab") as output:
            already = log.read_text().count("pipeline is running")
            process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ})
        try:
            eventually(lambda: log.read_text().count("pipeline is running") > already or process.poll() is not None)
            assert process.poll() is None, log.read_text()[-2000:]
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def sends(self) -> list[tuple[str, str]]:
        """(rule, person) of every decision that has come out so far."""
        self.decided += [decisions.decode(one.data) for one in pull(PROJECT, "sends-test", 100, wait=0.1)]
        return [(one.rule_id, one.person) for one in self.decided]

    def dead_letters(self) -> list[str]:
        """Reasons, of those that came out since the last call."""
        return [one.attributes["reason"] for one in pull(PROJECT, "dead-test", 100, wait=0.1)]
