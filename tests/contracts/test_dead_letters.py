"""`tidings dead-letters` on both servers: what it takes away is back where it came from, and all else stays."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contracts.samples import NOON
from tests.pubsub_bench import Bench
from tests.sends import SETTINGS, a_decision
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription, ensure_topic, pull
from tidings.adapters.sqlite_store import SqliteStore
from tidings.commands.exits import Exit
from tidings.commands.main import main
from tidings.wire import dead_letter, decisions, topics

Run = Callable[..., tuple[int, str]]
DEAD, EVENTS, SENDS = SETTINGS.dead_letters_topic, SETTINGS.events_topic, SETTINGS.sends_topic


@pytest.fixture
def run(
    pubsub: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """An event that can be used, one that cannot, and a send lie among the dead letters; the exit code and output."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", pubsub.project)
    monkeypatch.setenv("TIDINGS_SECRET", SETTINGS.secret)
    for topic in (DEAD, EVENTS, SENDS):
        ensure_topic(pubsub.project, topic)
        ensure_subscription(pubsub.project, topic if topic != DEAD else SETTINGS.dead_letters_subscription, topic)
    good = b'{"type": "track", "event": "Product Viewed", "userId": "bob", "messageId": "m-1"}'
    letters = [
        dead_letter.build("collect", "id_too_long", "", good, {}, NOON),
        dead_letter.build("collect", "no_person", "", b'{"type": "page"}', {}, NOON),
        dead_letter.build("deliver", "render_failed", "", *topics.of_decision(a_decision()), NOON),
    ]
    Publisher(pubsub.project).publish(DEAD, [Message(*letter) for letter in letters])
    store = SqliteStore(str(tmp_path / "store.db"))

    def command(*arguments: str) -> tuple[int, str]:
        code = main(["dead-letters", *arguments, "--store", f"sqlite:{tmp_path / 'store.db'}"])
        return code, capsys.readouterr().out

    yield command
    store.close()


def listed(run: Run) -> list[str]:
    return sorted(one["reason"] for one in json.loads(run("list", "--json")[1])["newest"])


def test_letters_can_be_looked_at_as_often_as_somebody_likes(run: Run) -> None:
    for _ in range(3):
        assert listed(run) == ["id_too_long", "no_person", "render_failed"]


def test_what_is_replayed_is_back_where_it_came_from_and_all_else_stays(run: Run, pubsub: Bench) -> None:
    assert run("replay", "--all", "--dry-run")[0] == Exit.REFUSED
    assert listed(run) == ["id_too_long", "no_person", "render_failed"]
    assert run("replay", "--all")[0] == Exit.REFUSED
    assert listed(run) == ["no_person"]
    [event] = pull(pubsub.project, EVENTS, 10)
    assert event.attributes["messageId"] == "m-1"
    [send] = pull(pubsub.project, SENDS, 10)
    assert decisions.read_message(*send) == a_decision()


def test_what_is_dropped_is_gone_for_good_and_all_else_stays(run: Run, pubsub: Bench) -> None:
    assert run("drop", "--step", "collect", "--yes") == (Exit.GOOD, "2 dead letters dropped\n")
    assert listed(run) == ["render_failed"]
    assert pull(pubsub.project, EVENTS, 10, wait=0) == []


def test_letters_are_found_by_the_whole_name_of_a_subscription(run: Run, pubsub: Bench) -> None:
    name = pubsub.subscription_path(SETTINGS.dead_letters_subscription)
    assert json.loads(run("list", "--json", "--project", "another", "--subscription", name)[1])["letters"] == 3
