"""A folder of rules, a store beside it, and somebody at the terminal."""

import io
from pathlib import Path

import yaml

from tests.people import at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.commands.main import main
from tidings.rollout.rule_source import RuleSource

SHIPPED = Path(__file__).parents[2] / "rules"
CART = {
    "id": "cart",
    "status": "live",
    "trigger": {"not_performed": {"after": "Product Added", "none_of": ["Order Completed"], "within": "15m"}},
    "send": {"template": "cart-abandoned"},
}
BUYERS = {"id": "buyers", "where": {"performed": "Order Completed"}}


class Terminal(io.StringIO):
    """Somebody who types this."""

    def isatty(self):
        return True


class Place:
    """A working folder with `rules/` and a store, in which commands are typed."""

    def __init__(self, folder, monkeypatch, capsys):
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "150")
        monkeypatch.setattr("sys.stdin", io.StringIO())
        self._monkeypatch, self._capsys = monkeypatch, capsys
        (folder / "rules" / "segments").mkdir(parents=True)
        (folder / ".tidings").mkdir()
        self.folder = folder
        self.out = self.err = ""

    def type(self, line, *more, answer=None):
        """Run `tidings rules ...`, and answer its question; returns the exit code."""
        self._capsys.readouterr()
        if answer is not None:
            self._monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
        try:
            return main(["rules", *line.split(), *more])
        finally:
            self.out, self.err = self._capsys.readouterr()

    def write(self, document, name=""):
        where = self.folder / "rules" / ("segments" if "where" in document else "")
        path = where / f"{name or document['id']}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def use(self, action):
        """Do something with the store."""
        store = SqliteStore(str(self.folder / ".tidings" / "store.db"))
        try:
            return action(store)
        finally:
            store.close()

    def look(self, clock="10:00"):
        """What the running system does every five seconds."""
        self.use(lambda store: RuleSource(store).refresh(at(clock)))

    def rules(self):
        return {one.rule_id: one.document for one in self.use(lambda store: store.rules())}

    def segments(self):
        return {one.rule_id: one.document for one in self.use(lambda store: store.segments())}

    def notes(self, name="cart", kind="rule"):
        return [one.note for one in self.use(lambda store: store.versions(kind, name))]
