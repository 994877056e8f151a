"""The whole system as its one command starts it, and what a test does to it from outside."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.rules import RULES, TIME_SCALE
from tests.support import eventually
from tidings.adapters.pubsub import ensure_subscription, pull
from tidings.adapters.sqlite_store import SqliteStore
from tidings.local.mailbox import Mail, Mailbox
from tidings.local.ports import free_port
from tidings.mailing.ledger import FINAL
from tidings.records.store import LedgerEntry
from tidings.settings import Settings
from tidings.wire import dead_letter, decisions
from tidings.wire.dead_letter import DeadLetter
from tidings.wire.decisions import Decision

TOPICS = Settings()
COPY_OF_SENDS = "copy-of-sends"


class System:
    """One running `python -m tidings.local`. Its parts are named as on the terminal: `Pipeline`, `Functions`, ..."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]", store: SqliteStore) -> None:
        self.store = store
        self.store_url = f"sqlite:{folder}/store.db"
        self._process = process
        self._mailbox = Mailbox(folder / "mail")
        self._mails: dict[str, Mail] = {}
        self._said: list[str] = []
        self._killed: dict[str, int] = {}
        self._decisions: list[Decision] = []
        self._dead_letters: list[DeadLetter] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        self._said.extend(self._process.stdout)  # line by line, until the process ends

    @property
    def said(self) -> str:
        """What the command has written to the terminal so far."""
        return "".join(self._said)

    def hears(self, pattern: str) -> "re.Match[str]":
        """Wait for a line, and return the newest match."""
        found = eventually(
            lambda: [*re.finditer(pattern, self.said, re.MULTILINE)] or self._process.poll() is not None, seconds=120
        )
        assert isinstance(found, list), f"it ended without {pattern!r}:\n{self.said}"
        return found[-1]

    # --- parts

    def freeze(self, part: str) -> None:
        """Let the part do nothing more."""
        os.kill(self._pid(part), signal.SIGSTOP)

    def kill(self, part: str) -> None:
        """End the part without warning. The command starts it again; see `wait_until_back`."""
        self._killed[part] = self._pid(part)
        os.kill(self._killed[part], signal.SIGKILL)

    def wait_until_back(self, part: str) -> None:
        """Wait until a part that was killed is ready again."""
        eventually(lambda: self._pid(part) != self._killed[part], seconds=120)

    def power_cut(self) -> None:
        """End the command and all of its parts, as if somebody had pulled the plug."""
        self._process.kill()
        for part in ("Functions", "Pipeline", "Pub/Sub", "Mail catcher"):
            os.kill(self._pid(part), signal.SIGKILL)
        self._process.wait()

    def _pid(self, part: str) -> int:
        """The newest process that the terminal names for the part."""
        return int(self.hears(rf"{part}(?: is back after .* as process)? (\d+)(?:,|$)")[1])

    # --- what came of it

    def mails(self, address: str = "") -> list[Mail]:
        """What is in the inbox, of all or of one recipient, oldest first."""
        for name in sorted(path.stem for path in self._mailbox.folder.glob("*.eml")):
            if name not in self._mails and (mail := self._mailbox.mail(name)):
                self._mails[name] = mail
        return [mail for mail in self._mails.values() if address in {"", mail.recipient}]

    def count_mails(self) -> int:
        """How many mails are in the inbox, without opening them."""
        return sum(1 for _ in self._mailbox.folder.glob("*.eml"))

    def decisions(self) -> list[Decision]:
        """Everything that was published to the sends topic so far, repeats included."""
        while found := pull(TOPICS.project, COPY_OF_SENDS, 1000, wait=0):
            self._decisions += [decisions.decode(one.data) for one in found]
        return self._decisions

    def dead_letters(self) -> list[DeadLetter]:
        """Everything that was set aside so far."""
        while found := pull(TOPICS.project, f"{TOPICS.dead_letters_topic}-inspect", 1000, wait=0):
            self._dead_letters += [dead_letter.read(*one) for one in found]
        return self._dead_letters

    def ledger(self, person: str | None = None) -> list[LedgerEntry]:
        """How decisions ended, of all or of one person, newest first."""
        return self.store.ledger(person)

    def check_the_sums(self) -> None:
        """Wait until every decision has ended; then decisions, ledger, inbox and dead letters must say the same."""
        eventually(self._every_decision_has_ended, seconds=120)
        ledger = {entry.send_id: entry for entry in self.ledger()}
        assert ledger.keys() == {decision.send_id for decision in self.decisions()}
        inbox = Counter(send_id(mail) for mail in self.mails())
        assert inbox.keys() <= ledger.keys()
        for entry in ledger.values():
            assert inbox[entry.send_id] in _copies_allowed(entry), entry
        set_aside = [decisions.decode(one.data).send_id for one in self.dead_letters() if one.step == "deliver"]
        assert sorted(set_aside) == sorted(one.send_id for one in ledger.values() if one.status == "dead_lettered")

    def _every_decision_has_ended(self) -> bool:
        ended = {entry.send_id for entry in self.ledger() if entry.status in FINAL}
        return all(decision.send_id in ended for decision in self.decisions())


def _copies_allowed(entry: LedgerEntry) -> range:
    """How many mails of one decision may be in the inbox; see the table in `docs/sends-once.md`."""
    if entry.detail.startswith("outcome unknown"):
        return range(2 + entry.repeats)
    if entry.status != "sent":
        return range(1)
    return range(1, 2 + entry.repeats)


def send_id(mail: Mail) -> str:
    """The identity of the decision behind a mail, from its Message-ID."""
    return dict(mail.headers)["Message-ID"].strip("<>").partition("@")[0]


@contextmanager
def running(folder: Path) -> Iterator[tuple[System, str]]:
    """The system on a folder of its own, with our rules beside those that ship; gives it and its URL."""
    store = SqliteStore(str(folder / "store.db"))
    for rule_id, document in RULES.items():
        store.put_rule(rule_id, document)
    port = free_port()
    command = [sys.executable, "-m", "tidings.local", "--no-story", "--data", str(folder), "--port", str(port)]
    command += ["--time-scale", str(TIME_SCALE)]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_EMULATOR_HOST")}
    environment["TIDINGS_LEASE_SECONDS"] = "10"  # a decision whose worker died waits so long
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    system = System(folder, process, store)
    try:
        system.hears("Ctrl-C ends it")
        [pubsub] = re.findall(r"^127\.0\.0\.1:\d+$", (folder / "logs" / "pub-sub.log").read_text(), re.MULTILINE)
        with pytest.MonkeyPatch.context() as environ:
            environ.setenv("PUBSUB_EMULATOR_HOST", pubsub)
            ensure_subscription(TOPICS.project, COPY_OF_SENDS, TOPICS.sends_topic)
            yield system, f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        store.close()
