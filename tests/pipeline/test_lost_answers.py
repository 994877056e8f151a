"""The local pipeline when Pub/Sub has handed messages out and the answer never came: nothing is called missing."""

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.adapters.lossy_wire import LossyWire
from tests.people import an_event
from tests.pipeline.live import PROJECT, Live
from tests.support import eventually
from tidings.adapters.pubsub_server import PubSubServer

SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/events-pipeline"
CART_RULE = Path(__file__).parents[2] / "rules" / "cart-abandoned.yaml"


def did(what, who):
    return an_event(what, datetime.now(UTC), user_id=who, properties={"cart_id": f"cart of {who}"})


def test_an_order_that_was_lost_on_its_way_to_the_pipeline_stops_the_mail_all_the_same(tmp_path, monkeypatch):
    """It comes again when its lease ends, after the deadline of ten seconds; until then the watermark stands still."""
    server = PubSubServer(path=None)

    def handed_out():
        with server._broker.lock:
            return server._broker.backlog.held(SUBSCRIPTION, "", time.time())

    with server as address, LossyWire(address) as wire:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", wire.address)
        live = Live(tmp_path, time_scale=90)
        live.store.put_rule("cart-abandoned", yaml.safe_load(CART_RULE.read_text()))
        with live.pipeline() as process:
            live.publish(did("Product Added", "ann"), did("Product Added", "bob"))
            eventually(lambda: len(live.store.activity("u:bob")) == 1 and handed_out() == 0)
            os.kill(process.pid, signal.SIGSTOP)
            live.publish(did("Order Completed", "ann"))
            wire.lose_answer(SUBSCRIPTION.encode(), lambda: handed_out() == 1)
            os.kill(process.pid, signal.SIGCONT)
            eventually(lambda: ("cart-abandoned", "u:bob") in live.sends(), seconds=60)
            eventually(lambda: len(live.store.activity("u:ann")) >= 2)
        assert wire.lost == 1
        assert live.sends() == [("cart-abandoned", "u:bob")]
        live.store.close()
