"""The mailer in a process of its own, with a short lease. `python -m tests.e2e.mailer PORT LEASE_SECONDS [FOLDER]`.

With a folder it stands still in the middle of its work for those whose id says where, and leaves a file there that says
so, for whoever is going to kill it.
"""

import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import flask
from msgspec.structs import replace
from werkzeug.serving import make_server

from functions.deliver import Mailer
from tidings import settings
from tidings.adapters.pubsub import Publisher
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.sqlite_store import SqliteStore
from tidings.adapters.stores import open_store
from tidings.records.store import Claimed, LedgerEntry
from tidings.wire.decisions import Decision

CLAIMED, ANSWERED, RECORDED = "claimed", "answered", "recorded"
"""Where it stands still: nothing done but the claim; the mail server's answer not recorded; recorded and not told."""


class StandingStill(SqliteStore):
    """A store on whose doorstep its caller stops for good."""

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__(path)
        self._folder = folder

    def claim(self, decision: Decision, now: datetime, lease: timedelta) -> Claimed:
        """Claim, and stop."""
        claimed = super().claim(decision, now, lease)
        self._stop_if(CLAIMED, decision.send_id)
        return claimed

    def finish(self, held: LedgerEntry, *ending: Any, **more: Any) -> LedgerEntry | None:
        """Stop; or record how it ended, and stop."""
        self._stop_if(ANSWERED, held.send_id)
        entry = super().finish(held, *ending, **more)
        self._stop_if(RECORDED, held.send_id)
        return entry

    def _stop_if(self, where: str, send_id: str) -> None:
        entry = self.ledger_entry(send_id)
        if entry and where in entry.decision.person:
            (self._folder / send_id).touch()
            threading.Event().wait()


def main(port: int, lease_seconds: int, folder: Path | None = None) -> None:
    """Serve until killed."""
    chosen = replace(settings.load(), lease_seconds=lease_seconds)  # less than production allows
    path = chosen.store.removeprefix("sqlite:")
    store = StandingStill(path, folder) if folder else open_store(chosen.store, chosen.project)
    mailer = Mailer(chosen, store, Publisher(chosen.project), SmtpSender(chosen.mail_url))
    app = flask.Flask("mailer")
    app.add_url_rule("/deliver", view_func=lambda: mailer(flask.request), endpoint="deliver", methods=["POST"])
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(Path, sys.argv[3:]))
