"""A story of one afternoon: a template breaks, mails end as dead letters, it is mended, and each mail arrives once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import templates
from tests.commands.letter_desk import SENDS, LetterDesk, letter_desk
from tests.sends import a_decision
from tests.support import eventually
from tidings.adapters.pubsub import ensure_subscription
from tidings.adapters.pubsub_server import PubSubServer
from tidings.commands.exits import Exit
from tidings.commands.main import main
from tidings.wire import topics

DECISIONS = [a_decision(), a_decision(episode="e2", properties={"name": "Brass lamp"})]


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[LetterDesk]:
    with PubSubServer() as address, letter_desk(tmp_path, address, capsys) as one:
        yield one


@contextmanager
def deployed(desk: LetterDesk) -> Iterator[None]:
    """A mailer, to which Pub/Sub pushes."""
    with desk.room.served("deliver") as url:
        ensure_subscription(desk.room.project, f"{SENDS}-deliver", SENDS, push_endpoint=url)
        yield


def statuses(desk: LetterDesk) -> set[str]:
    entries = (desk.room.store.ledger_entry(one.send_id) for one in DECISIONS)
    return {entry.status if entry else "" for entry in entries}


def test_a_mended_template_and_a_replay_bring_every_mail_once(
    desk: LetterDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "templates"
    shutil.copytree(Path(templates.__file__).parent, folder)
    monkeypatch.setenv("TIDINGS_TEMPLATES", str(folder))
    body = folder / "product-reminder" / "body.html"
    good = body.read_text()
    body.write_text(good.replace("product.name", "product.title"))
    replay = ("replay", "--reason", "render_failed")
    with deployed(desk):
        desk.room.publisher.publish(SENDS, [topics.of_decision(one) for one in DECISIONS])
        eventually(lambda: statuses(desk) == {"dead_lettered"} and len(desk.listed()) == 2)

        # Who replays before it is mended gets the letters back, each once, and no mail goes out.
        assert desk.run(*replay)[:2] == (Exit.GOOD, "2 dead letters of deliver, render_failed: went to sends\n")
        eventually(lambda: statuses(desk) == {"dead_lettered"} and len(desk.listed()) == 2)
        assert desk.room.mail.mails == []

    body.write_text(good)
    with deployed(desk):
        assert desk.run(*replay, "--dry-run")[1] == "2 dead letters of deliver, render_failed: would go to sends\n"
        assert desk.run(*replay)[0] == Exit.GOOD
        eventually(lambda: statuses(desk) == {"sent"})
        assert desk.run(*replay)[:2] == (Exit.REFUSED, "There is no such dead letter.\n")

    subjects = sorted(str(mail.parsed["Subject"]) for mail in desk.room.mail.mails)
    assert subjects == ["Still thinking about Brass lamp?", "Still thinking about Harbour desk lamp?"]
    told = [event.event for event in desk.room.events()]
    assert told == ["Email Sent", "Email Sent"]
    capsys.readouterr()
    assert main(["explain", DECISIONS[0].send_id, "--store", f"sqlite:{desk.room.store_path}"]) == Exit.GOOD
    explained = capsys.readouterr().out
    assert "sent" in explained.splitlines()[0]
    assert "a dead letter, replayed by hand at " in explained
    assert "render_failed: product-reminder/body.html" in explained
