"""A person who asks for it is forgotten, whatever happens meanwhile; what is left is digests."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.lives import ADDRESS, ANN, BEFORE, BOB, EARLIER, NAMES, OF_BOB, SETTINGS, digest, live
from tests.contracts.samples import at
from tidings.adapters.firestore_store import FirestoreStore
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import erasure
from tidings.errors import StoreError
from tidings.permission.consent import person_digest
from tidings.privacy.erasure import Known, erase, erase_address, known_by
from tidings.records.store import ERASED, ProfileUpdate, Receipt, Store, Suppression
from tidings.settings import SettingsError
from tidings.wire.topics import Message, Sifted


class Outside:
    """What an erasure reaches beside the store: the events topic, and the dead letters."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.letters = [Message(f'{{"userId": "{one[2:]}"}}'.encode()) for one in (ANN, BOB)]
        self.letters += [Message(f"not json, to {one}".encode()) for one in (ADDRESS.upper(), OF_BOB)]

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Take them."""
        assert topic == SETTINGS.events_topic
        self.published += messages

    def sift(self, wanted: Callable[[Message], bool]) -> Sifted:
        """Let go of those that are wanted."""
        before = len(self.letters)
        self.letters = [one for one in self.letters if not wanted(one)]
        return Sifted(before, before - len(self.letters), complete=True)

    def told(self) -> set[str]:
        """Whom the pipeline was told to forget."""
        assert {one.attributes["schema"] for one in self.published} <= {erasure.SCHEMA}
        return {json.loads(one.data)["person"] for one in self.published}


class CrashError(Exception):
    """The process ends here."""


class Fuse:
    """Lets so many calls through, whatever they are called on, and then ends it all: before or after the last one."""

    def __init__(self, calls: int, *, after: bool) -> None:
        self._left = calls
        self._after = after

    def guards(self, thing: Any) -> Any:
        """The thing, whose calls count."""
        fuse = self

        class Guarded:
            def __getattr__(self, name: str) -> Any:
                return fuse.counted(getattr(thing, name))

        return Guarded()

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, which counts."""

        def through(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._after:
                raise CrashError
            answer = call(*arguments, **named)
            if self._left < 0:
                raise CrashError
            return answer

        return through


def forget(store: Store, outside: Outside, seconds: float = 100) -> Receipt:
    return erase(store, outside, SETTINGS, ANN, at(seconds), "operator", outside.sift)


def everything_in(store: Store, folder: Path) -> str:
    """Every byte that is kept, as text."""
    if isinstance(store, SqliteStore):
        found = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
        return found.decode("latin-1")
    assert isinstance(store, FirestoreStore)
    return "\n".join(_below(store.client.collections()))


def _below(collections: Any) -> list[str]:
    found = []
    for collection in collections:
        for document in collection.list_documents():
            found.append(f"{document.path} {document.get().to_dict()}")
            found += _below(document.collections())
    return found


def check_forgotten(store: Store, outside: Outside, folder: Path) -> None:
    """Ann is nowhere, her addresses stay suppressed, the pipeline was told, and Bob is as he was."""
    text = everything_in(store, folder)
    assert [name for name in NAMES if name.casefold() in text.casefold()] == []
    for address in (ADDRESS, EARLIER):
        assert store.suppression(digest(address)) == Suppression(reason=ERASED, at=at(100))
    for one in (ANN, BEFORE):
        assert store.erased_at(person_digest(one, SETTINGS.secret))
    assert outside.told() == {ANN, BEFORE}
    assert [one.data for one in outside.letters] == [b'{"userId": "bob-18"}', b"not json, to bob@example.com"]
    assert "bob@example.com" in text
    assert store.profile(BOB)
    assert (len(store.consent(BOB)), len(store.activity(BOB)), len(store.ledger(BOB)), len(store.feedback(BOB))) == (
        1, 2, 2, 1,
    )  # fmt: skip
    assert store.suppression(digest(OF_BOB)) is None
    assert store.erased_at(person_digest(BOB, SETTINGS.secret)) is None


@pytest.fixture
def lived(store: Store, tmp_path: Path) -> Store:
    live(store)
    assert all(name.casefold() in everything_in(store, tmp_path).casefold() for name in NAMES), "or the search is blind"
    return store


def test_nothing_is_left_of_a_person_and_the_receipt_says_what_there_was(lived: Store, tmp_path: Path) -> None:
    outside = Outside()
    receipt = forget(lived, outside)
    check_forgotten(lived, outside, tmp_path)
    assert receipt.counts == {
        "ids": 2, "addresses": 2, "profiles": 2, "consent": 2, "activity": 4, "feedback": 2, "ledger": 4,
        "dead_letters_seen": 4, "dead_letters": 2, "dead_letters_complete": 1,
    }  # fmt: skip
    assert receipt in lived.receipts(person_digest(ANN, SETTINGS.secret))


def test_an_earlier_address_that_only_the_ledger_knows_of_is_suppressed_too(lived: Store) -> None:
    """They have changed it since, and somebody may still have it on a list."""
    lived.erase_person(BEFORE)
    assert lived.people_at(EARLIER) == []
    forget(lived, Outside())
    assert lived.suppression(digest(EARLIER)) == Suppression(reason=ERASED, at=at(100))


def test_when_the_store_lets_go_the_mailer_and_the_pipeline_have_been_told(lived: Store) -> None:
    """Otherwise what is decided or claimed in between would be kept."""
    outside, seen = Outside(), []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            if name == "erase_person":
                seen.append((lived.erased_at(person_digest(ANN, SETTINGS.secret)), outside.told()))
            return getattr(lived, name)

    erase(Watched(), outside, SETTINGS, ANN, at(100), "operator")  # type: ignore[arg-type]
    assert seen == [(at(100), {ANN, BEFORE})] * 2


def test_an_anonymous_id_that_gave_the_same_address_and_is_nobody_elses_goes_too(lived: Store, tmp_path: Path) -> None:
    """The newsletter form in another browser: it would keep the address."""
    given = ProfileUpdate(person="a:phone", at=at(5), traits={"email": ADDRESS.upper()})
    lived.update_profiles([given, ProfileUpdate(person="a:of-bob", at=at(5), traits={"email": ADDRESS}, joined=BOB)])
    outside = Outside()
    assert forget(lived, outside).counts["ids"] == 3
    assert outside.told() == {ANN, BEFORE, "a:phone"}
    assert lived.profile("a:of-bob")
    assert lived.profile("a:phone") is None


def test_a_known_person_who_shares_the_address_keeps_what_is_theirs_and_is_not_mailed_there(lived: Store) -> None:
    """A mailbox of two: what one of them asks for takes nothing from the other. But nobody writes there any more."""
    lived.update_profiles([ProfileUpdate(person="u:max", at=at(5), traits={"email": ADDRESS.upper()})])
    assert known_by(lived, ANN, None) == Known([ANN, BEFORE], [ADDRESS, EARLIER], ["u:max"])
    assert known_by(lived, None, ADDRESS).sharing == [], "who asks by the address asks for all"
    before, outside = lived.profile("u:max"), Outside()
    forget(lived, outside)
    assert lived.profile("u:max") == before
    assert outside.told() == {ANN, BEFORE}
    assert lived.erased_at(person_digest("u:max", SETTINGS.secret)) is None
    assert lived.suppression(digest(ADDRESS)) == Suppression(reason=ERASED, at=at(100))


def test_an_address_takes_everybody_with_it_who_has_it(lived: Store, tmp_path: Path) -> None:
    outside = Outside()
    receipt = erase_address(lived, outside, SETTINGS, " ann.lee@EXAMPLE.com", at(100), "operator", outside.sift)
    check_forgotten(lived, outside, tmp_path)
    assert receipt.person_digest == digest(ADDRESS)
    assert (receipt.counts["ids"], receipt.counts["profiles"]) == (2, 2)


def test_an_address_that_nobody_has_is_suppressed_all_the_same(lived: Store) -> None:
    outside = Outside()
    receipt = erase_address(lived, outside, SETTINGS, "new@example.com", at(100), "operator", outside.sift)
    assert lived.suppression(digest("new@example.com")) == Suppression(reason=ERASED, at=at(100))
    assert receipt.counts["ids"] == 0
    assert receipt.counts["dead_letters_seen"] == 4
    assert outside.published == []
    assert lived.profile(ANN)


def test_an_address_that_bounced_is_known_as_erased_from_then_on(lived: Store) -> None:
    lived.suppress(digest(ADDRESS), "550 5.1.1", at(50))
    forget(lived, Outside())
    assert lived.suppression(digest(ADDRESS)) == Suppression(reason=ERASED, at=at(100))


def test_somebody_of_whom_nothing_is_kept_is_forgotten_by_the_pipeline(lived: Store) -> None:
    """It may remember events of somebody who never gave a name."""
    outside = Outside()
    receipt = erase(lived, outside, SETTINGS, "a:stranger", at(100), "recipient")
    assert outside.told() == {"a:stranger"}
    assert receipt.counts["profiles"] == 0
    assert "dead_letters" not in receipt.counts
    assert receipt.requested_by == "recipient"


def test_doing_it_again_finds_nothing_and_leaves_the_suppression_as_it_was(lived: Store, tmp_path: Path) -> None:
    outside = Outside()
    forget(lived, outside)
    again = forget(lived, outside, seconds=200)
    check_forgotten(lived, outside, tmp_path)
    assert again.counts["ledger"] == again.counts["dead_letters"] == 0
    assert lived.erased_at(again.person_digest) == at(200)


def test_without_a_secret_nothing_is_begun(lived: Store) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_SECRET"):
        erase(lived, Outside(), type(SETTINGS)(), ANN, at(100), "operator")
    assert lived.profile(ANN)


@pytest.mark.parametrize("by_address", [False, True], ids=["by id", "by address"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_between_any_two_steps_is_mended_by_running_it_again(
    open_again: Callable[[], Store], tmp_path: Path, after: bool, by_address: bool
) -> None:
    """Every call to the store, to Pub/Sub and to the dead letters is a place to crash: before it, or after it."""
    store = open_again()
    crashes = 0
    while True:
        live(store)
        outside = Outside()
        fuse = Fuse(crashes, after=after)
        try:
            _request(fuse.guards(store), fuse.guards(outside), fuse.counted(outside.sift), by_address)
        except CrashError:
            crashes += 1
        else:
            break
        _request(store, outside, outside.sift, by_address)
        check_forgotten(store, outside, tmp_path)
        assert store.note(f"erasure:{person_digest(ANN, SETTINGS.secret)}") is None
        _begin_anew(store)
    assert crashes > 15


def _request(store: Store, outside: Any, sift: Callable[..., Sifted], by_address: bool) -> None:
    if by_address:
        erase_address(store, outside, SETTINGS, ADDRESS, at(100), "operator", sift)
    else:
        erase(store, outside, SETTINGS, ANN, at(100), "operator", sift)


def _begin_anew(store: Store) -> None:
    for address in (ADDRESS, EARLIER):
        store.lift_suppression(digest(address))
    store.erase_person(BOB)


def test_nothing_is_left_in_pages_that_are_free_again_or_in_the_log(tmp_path: Path) -> None:
    """Also when another process has the file open, as the functions and the pipeline do."""
    path = tmp_path / "store.db"
    store, other = SqliteStore(str(path)), SqliteStore(str(path))
    live(store)
    assert other.profile(ANN)
    forget(other, Outside())
    assert [name for name in NAMES if name.casefold() in everything_in(store, tmp_path).casefold()] == []
    [(free,)] = sqlite3.connect(path).execute("PRAGMA freelist_count").fetchall()
    assert free >= 0
    store.close()
    other.close()


def test_while_somebody_goes_on_reading_it_is_not_done_and_then_it_is(tmp_path: Path) -> None:
    """Until then what was deleted stands in the log of the file."""
    store = SqliteStore(str(tmp_path / "store.db"), timeout=0.1)
    live(store)
    reader = sqlite3.connect(tmp_path / "store.db")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM profiles").fetchall()
    with pytest.raises(StoreError, match="reads for too long"):
        forget(store, Outside())
    reader.close()
    forget(store, Outside())
    assert [name for name in NAMES if name.casefold() in everything_in(store, tmp_path).casefold()] == []
    store.close()


def test_the_search_would_find_what_a_database_did_not_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "careless.db"
    careless = sqlite3.connect(path)
    careless.execute("CREATE TABLE t (x TEXT)")
    careless.execute("PRAGMA secure_delete = OFF")
    careless.execute("INSERT INTO t VALUES ('Ann.Lee@example.com')")
    careless.commit()
    careless.execute("DELETE FROM t")
    careless.commit()
    careless.close()
    assert b"Ann.Lee@example.com" in path.read_bytes()
