"""`tidings privacy`, as an operator types it who has a request on the desk."""

import io
import json
import stat
from datetime import datetime

import pytest

from tests.adapters.bigquery_answers import Archive, bigquery
from tests.contracts.lives import ADDRESS, ANN, BEFORE, BOB, OF_BOB, SETTINGS, archived, digest, live
from tests.contracts.samples import at
from tidings.adapters.bigquery_archive import EMULATOR
from tidings.adapters.pubsub import Message, Publisher, ensure_subscription, ensure_topic, pull
from tidings.adapters.pubsub_server import PubSubServer
from tidings.adapters.sqlite_store import SqliteStore
from tidings.commands.exits import Exit
from tidings.commands.main import main
from tidings.deciding import erasure
from tidings.permission.consent import person_digest
from tidings.records.store import ERASED
from tidings.wire import dead_letter
from tidings.wire.events import encode


@pytest.fixture(scope="module")
def pubsub():
    with PubSubServer() as address:
        yield address


class Desk:
    """A folder with a store in it, and the command."""

    def __init__(self, store, project, capsys, monkeypatch):
        self.store = store
        self.project = project
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def run(self, *arguments, typed=""):
        """The exit code, and what was printed to standard output and error."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = main(["privacy", *arguments, "--store", "sqlite:store.db"])
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys, pubsub):
    monkeypatch.chdir(tmp_path)
    project = f"p-{tmp_path.name[-40:].replace('_', '-')}"
    for name, value in {
        "PUBSUB_EMULATOR_HOST": pubsub,
        "GOOGLE_CLOUD_PROJECT": project,
        "TIDINGS_SECRET": SETTINGS.secret,
    }.items():
        monkeypatch.setenv(name, value)
    for topic, subscription in ((SETTINGS.events_topic, "events"), (SETTINGS.dead_letters_topic, None)):
        ensure_topic(project, topic)
        ensure_subscription(project, subscription or SETTINGS.dead_letters_subscription, topic)
    store = SqliteStore("store.db")
    live(store)
    yield Desk(store, project, capsys, monkeypatch)
    store.close()


def test_a_copy_is_printed(desk):
    code, out, _ = desk.run("export", "--person", ANN)
    assert code == Exit.GOOD
    assert json.loads(out)["person"] == ANN


def test_a_copy_for_a_file_is_for_its_owners_eyes_and_overwrites_nothing(desk, tmp_path):
    assert desk.run("export", "--person", ANN[2:], "--out", "ann.json")[0] == Exit.GOOD
    assert stat.S_IMODE((tmp_path / "ann.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "ann.json").read_text())["ids"][0] == ANN
    assert desk.run("export", "--person", ANN, "--out", "ann.json")[0] == Exit.USAGE


def test_a_copy_has_the_archive_where_it_is_named(desk, tmp_path):
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(encode(one) for one in archived()))
    _, out, _ = desk.run("export", "--person", ANN, "--archive", "events.jsonl")
    assert (len(json.loads(out)["events"]), json.loads(out)["missing"]) == (2, [])


def test_who_knows_only_the_address_types_it_where_no_history_keeps_it(desk):
    code, out, _ = desk.run("export", "--address", "-", typed=f"{ADDRESS.upper()}\n")
    assert (code, json.loads(out)["person"]) == (Exit.GOOD, ANN)
    code, _, err = desk.run("export", "--address", "-", typed="nobody@example.com\n")
    assert (code, err) == (Exit.REFUSED, "nobody has this address\n")


def test_somebody_is_forgotten_and_the_receipt_found_again(desk):
    code, out, err = desk.run("erase", "--person", ANN, "--yes", "--json")
    assert (code, err) == (Exit.GOOD, "")
    receipt = json.loads(out)
    assert (receipt["counts"]["profiles"], receipt["counts"]["dead_letters_complete"]) == (2, 1)
    assert desk.store.profile(ANN) is None
    told = pull(desk.project, "events", 10)
    assert {erasure.decode(one.data).person for one in told} >= {ANN}
    code, out, _ = desk.run("receipts", "--person", ANN)
    assert code == Exit.GOOD
    assert receipt["receipt_id"] in out
    assert ANN[2:] not in out


def test_an_address_takes_everybody_with_it(desk):
    assert desk.run("erase", "--address", "-", "--yes", typed=ADDRESS)[0] == Exit.GOOD
    assert desk.store.profile(ANN) is None
    assert desk.store.profile(BOB)
    assert desk.run("receipts", "--address", ADDRESS)[0] == Exit.GOOD
    assert desk.run("receipts", "--address", OF_BOB)[0] == Exit.REFUSED


def test_nobody_is_forgotten_unasked(desk):
    code, _, err = desk.run("erase", "--person", ANN)
    assert code == Exit.USAGE
    assert "--yes" in err
    assert desk.store.profile(ANN)


def test_the_archive_forgets_first_because_afterwards_nobody_knows_what_to_look_for(desk, monkeypatch):
    held = Archive()
    held.deletes = 12
    with bigquery(held) as address:
        monkeypatch.setenv(EMULATOR, address)
        asked = ("erase", "--person", ANN, "--yes", "--archive", "bigquery:p.tidings.events")
        held.fails = (403, "accessDenied")
        assert desk.run(*asked)[0] == Exit.REFUSED
        assert desk.store.profile(ANN), "nothing is half done"
        held.fails = None
        code, _, err = desk.run(*asked)
    assert (code, err) == (Exit.GOOD, "12 rows of the archive are deleted\n")
    [said] = held.parameters
    assert (said["users"], said["anonymous"]) == ([ANN[2:]], ["browser-5"])
    assert any("ann\\.lee@example\\.com" in one for one in said["addresses"])
    assert desk.store.profile(ANN) is None


def test_who_was_erased_without_the_archive_is_found_in_it_by_digests_alone(desk, monkeypatch):
    """From their own page, say. The archive knows ids, the receipts digests; of Bob nothing goes."""
    held = Archive()
    held.rows = [(encode(one).decode(), one.received_at, False) for one in archived()]
    held.deletes = 5
    with bigquery(held) as address:
        monkeypatch.setenv(EMULATOR, address)
        asked = ("archive", "--archive", "bigquery:p.tidings.events")
        assert desk.run(*asked)[:2] == (Exit.GOOD, "0 rows of 0 forgotten people went\n")
        desk.run("erase", "--person", ANN, "--yes")
        assert desk.run(*asked)[:2] == (Exit.GOOD, "5 rows of 2 forgotten people went\n")
        [said] = held.parameters
        assert (said["users"], said["anonymous"], said["addresses"]) == ([ANN[2:]], [BEFORE[2:]], [])
        receipts = desk.store.receipts(person_digest(ANN, SETTINGS.secret))
        assert datetime.fromisoformat(said["until"]) == receipts[0].at
        held.buffered = True
        code, _, err = desk.run(*asked)
        assert (code, "90 minutes" in err) == (Exit.REFUSED, True)
    assert desk.run("archive", "--archive", "events.jsonl")[0] == Exit.USAGE


def test_when_pubsub_is_away_it_is_for_later_and_then_completes(desk, monkeypatch):
    with monkeypatch.context() as away:
        away.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        assert desk.run("erase", "--person", ANN, "--yes")[0] == Exit.LATER
    assert desk.run("erase", "--person", ANN, "--yes")[0] == Exit.GOOD


def test_dead_letters_of_the_forgotten_are_taken_away(desk):
    letters = [
        dead_letter.build("collect", "no_person", "no", f'{{"email": "{one}"}}'.encode(), {}, at(0))
        for one in (ADDRESS, OF_BOB)
    ]
    project = desk.project
    desk.run("erase", "--person", ANN, "--yes")
    Publisher(project).publish(SETTINGS.dead_letters_topic, [Message(*one) for one in letters])
    assert desk.run("letters")[:2] == (Exit.GOOD, "1 of 2 dead letters went\n")
    assert desk.run("letters")[:2] == (Exit.GOOD, "0 of 1 dead letters went\n")


def test_an_address_is_suppressed_and_lifted_with_a_warning_where_one_is_due(desk):
    assert desk.run("suppress", "--address", OF_BOB, "--reason", "by phone")[1] == "it is suppressed\n"
    assert "by phone" in desk.run("suppress", "--address", OF_BOB)[1]
    assert desk.run("lift", "--address", OF_BOB, "--yes")[0] == Exit.GOOD
    assert desk.store.suppression(digest(OF_BOB)) is None
    assert desk.run("lift", "--address", OF_BOB, "--yes")[0] == Exit.REFUSED
    desk.store.suppress(digest(ADDRESS), ERASED, at(0))
    code, _, err = desk.run("lift", "--address", ADDRESS)
    assert code == Exit.USAGE
    assert "was promised" in err
    assert desk.store.suppression(digest(ADDRESS))


def test_what_is_no_address_is_not_quoted(desk):
    code, out, err = desk.run("suppress", "--address", "secret-name")
    assert code == Exit.USAGE
    assert "secret-name" not in out + err


def test_what_has_been_kept_long_enough_goes(desk):
    code, out, _ = desk.run("expire")
    assert code == Exit.GOOD
    assert "activity 6" in out, "of 2024"


def test_without_a_secret_nobody_can_be_found_and_a_local_run_has_its_own(desk, monkeypatch, tmp_path):
    monkeypatch.delenv("TIDINGS_SECRET")
    code, _, err = desk.run("receipts", "--person", ANN)
    assert code == Exit.USAGE
    assert "TIDINGS_SECRET" in err
    (tmp_path / "secret").write_text(SETTINGS.secret)
    desk.run("erase", "--person", ANN, "--yes")
    assert desk.store.suppression(digest(ADDRESS))
