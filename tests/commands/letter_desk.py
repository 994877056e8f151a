"""An operator at a terminal, beside an installation whose dead letters somebody should look at."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.functions.mail_room import MailRoom, mail_room
from tidings.adapters.pubsub import Message, ensure_subscription, ensure_topic
from tidings.commands.main import main
from tidings.wire import dead_letter, topics
from tidings.wire.decisions import Decision

SENDS = "tidings-sends"
EVENT = {"type": "track", "event": "Product Viewed", "userId": "bob", "messageId": "m-1"}


class LetterDesk:
    """`tidings dead-letters`, and what lies around it."""

    def __init__(self, room: MailRoom, capsys: pytest.CaptureFixture[str]) -> None:
        self.room = room
        self._capsys = capsys
        ensure_topic(room.project, SENDS)
        ensure_subscription(room.project, SENDS, SENDS)
        ensure_subscription(room.project, room.settings.dead_letters_subscription, room.settings.dead_letters_topic)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code, and what was printed to standard output and error."""
        code = main(["dead-letters", *arguments, "--store", f"sqlite:{self.room.store_path}"])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def bury(self, step: str, reason: str, data: bytes, attributes: dict[str, str] | None = None, **more: Any) -> None:
        """A dead letter, as a step writes it."""
        at = more.pop("at", datetime.now(UTC))
        letter = dead_letter.build(step, reason, more.pop("detail", "a detail"), data, attributes or {}, at)
        self.room.publisher.publish(self.room.settings.dead_letters_topic, [Message(*letter)])

    def bury_event(self, at: datetime | None = None, **fields: Any) -> None:
        """An event that the front door refused."""
        self.bury("collect", "no_person", json.dumps(EVENT | fields).encode(), at=at or datetime.now(UTC))

    def bury_send(self, decision: Decision, reason: str) -> None:
        """A send that the mailer could not bring to a good end; what the ledger says of it is another matter."""
        self.bury("deliver", reason, *topics.of_decision(decision))

    def listed(self, *arguments: str) -> list[tuple[str, str]]:
        """Step and reason of every letter, the newest first."""
        newest = json.loads(self.run("list", "--json", "--limit", "1000", *arguments)[1])["newest"]
        return [(one["step"], one["reason"]) for one in newest]

    def ids(self, reason: str) -> list[str]:
        """The ids of the letters of a reason."""
        return [one["id"] for one in json.loads(self.run("list", "--json", "--reason", reason)[1])["newest"]]

    def replayed(self, *arguments: str) -> list[dict[str, str]]:
        """What `replay` says became of each letter, without its id."""
        letters = json.loads(self.run("replay", "--json", *arguments)[1])["letters"]
        return [{name: value for name, value in one.items() if name != "id"} for one in letters]


@contextmanager
def letter_desk(folder: Path, pubsub: str, capsys: pytest.CaptureFixture[str]) -> Iterator[LetterDesk]:
    """One, on the Pub/Sub at `pubsub`; Ada agreed to marketing mail. Nobody answers questions."""
    with mail_room(folder, pubsub) as room, pytest.MonkeyPatch.context() as environ:
        environ.setattr("sys.stdin", io.StringIO())
        room.meet("u:ada", "ada@example.com")
        yield LetterDesk(room, capsys)
