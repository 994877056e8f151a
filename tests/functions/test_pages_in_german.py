"""The pages behind the links of a mail, for who reads German: `pages/de.yaml` holds what they say, and no more."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from string import Formatter

import pytest
import yaml
from werkzeug.test import Client

from functions import speech
from functions.speech import SPEECHES, Speech
from tests.functions.accessibility import check
from tests.functions.choosing import link as preferences_link
from tests.functions.choosing import save
from tests.functions.mail_room import MailRoom, ago
from tests.functions.test_confirmation import ask
from tests.functions.test_confirmation import link as confirmation_link
from tests.functions.test_trust import identify
from tests.sends import a_decision
from tidings.permission.consent import MARKETING, TRACKING, address_digest
from tidings.tokens import Hit, Purpose, sign_hit, sign_unsubscribe

GERMAN = yaml.safe_load(files("functions").joinpath("pages", "de.yaml").read_text("utf-8"))
READS = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
ENGLISH = re.compile(r"\b(you|your|the|this|from|please|unsubscribe|not|again|email|and)\b", re.IGNORECASE)


class Strict(Speech):
    """Says nothing that it does not know."""

    def __call__(self, sentence: str, **facts: str) -> str:
        return GERMAN[sentence].format(**facts)


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPEECHES, "de", Strict("de", GERMAN))


@pytest.fixture
def client(room: MailRoom) -> Client:
    """One instance of the function."""
    return room.client("engage")


def link(room: MailRoom, category: str = "cart") -> str:
    """The unsubscribe link of a mail to Ada."""
    return "/u/" + sign_unsubscribe("u:ada", category, a_decision().send_id, room.settings.secret)


def words(page: str) -> str:
    """What a page says, without the sender's own name and address, and what kinds of mail are called."""
    names = r"<style>.*?</style>|<footer.*?</footer>|„[^“]*“|Northwind Living"
    text = re.sub(rf"{names}|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(text.split())


def in_german(page: str) -> str:
    """A page that is all in German; what it says."""
    check(page)
    assert '<html lang="de">' in page
    assert not ENGLISH.search(words(page)), words(page)
    return words(page)


def test_leaving_and_coming_back_is_in_german(room: MailRoom, client: Client) -> None:
    """Every state of the page, and what is kept are the words that were shown."""
    assert "abbestellen" in in_german(client.get(link(room), headers=READS).text)
    for choice, heading in [
        ("category", "Sie sind abgemeldet"),
        ("resubscribe", "Sie sind angemeldet"),
        ("all", "Sie sind abgemeldet"),
        ("resubscribe_all", "Sie sind angemeldet"),
    ]:
        page = client.post(link(room), data={"choice": choice}, headers=READS).text
        assert heading in in_german(page)
        record = room.store.consent("u:ada")[-1]
        assert record.language == "de"
        assert re.search("abbestellen|wieder", record.words)
    assert client.post(link(room), data={"choice": "?"}, headers=READS).status_code == 400
    in_german(client.get(link(room, "marketing"), headers=READS).text)


def test_a_kind_of_mail_is_called_in_german_what_the_policy_calls_it(
    room: MailRoom, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As in the preference centre."""
    policy = tmp_path_factory.mktemp("policy")
    (policy / "categories.yaml").write_text("- {id: cart, name: Cart, languages: {de: {name: Warenkorb}}}\n")
    monkeypatch.setenv("TIDINGS_POLICY", str(policy))
    page = room.client("engage").get(link(room), headers=READS).text
    assert "E-Mails der Art „Warenkorb“ abbestellen" in page


def test_choosing_is_in_german(room: MailRoom, client: Client) -> None:
    """Every answer of the preference centre; our own words in the record as they were shown."""
    path = preferences_link(room)
    for changes in ({"off": ("cart",)}, {"on": ("newsletter", "cart")}, {"off": (MARKETING, TRACKING)}, {}):
        in_german(save(client, path, **changes, **READS).text)
    [record] = [one for one in room.store.consent("u:ada") if one.category == TRACKING]
    assert record.language == "de"
    assert record.words.startswith("[ ] Öffnen und Klicken. Wir sehen")
    assert record.words.endswith("[Meine Einstellungen speichern]")
    for choice in ("none", "export", "erase", "?"):
        in_german(client.post(path, data={"choice": choice}, headers={**READS, "Sec-GPC": "1"}).text)
    assert {record.words for record in room.store.consent("u:ada")} >= {"Alle Werbe-E-Mails abbestellen"}
    page = client.get(path, headers=READS)
    stale = {"choice": "save", "version": "0", "was": re.findall(r'name="was" value="([^"]*)"', page.text)}
    assert "hat sich geändert" in in_german(client.post(path, data=stale, headers=READS).text)


@pytest.mark.parametrize("reason", ["complained", "erased", "550 no such mailbox", "asked by phone"])
def test_who_is_not_written_to_reads_in_german_why(room: MailRoom, client: Client, reason: str) -> None:
    """And who has no address, or too new a one, why there is no copy."""
    room.store.suppress(address_digest("ada@example.com", room.settings.secret), reason, ago(days=1))
    assert ", weil " in in_german(client.get(preferences_link(room), headers=READS).text)
    identify(room, "ada@new.example")
    in_german(client.get(preferences_link(room), headers=READS).text)
    in_german(client.get(preferences_link(room, "u:nobody"), headers=READS).text)


@pytest.mark.parametrize("purpose", ["subscribe", "export", "erase"])
def test_confirming_is_in_german(room: MailRoom, client: Client, purpose: Purpose) -> None:
    """What is asked, what came of it, and what is said of a link that is used, too old, or for another mailbox."""
    ask(room)
    path = confirmation_link(room, purpose)
    in_german(client.get(path, headers=READS).text)
    answer = client.post(path, data={"choice": "confirm"}, headers=READS)
    if purpose == "export":
        assert answer.mimetype == "application/json"
    else:
        in_german(answer.text)
    if purpose == "subscribe":
        assert room.store.consent("u:ada")[-1].words.endswith("[Ja, schicken Sie es mir]")
    in_german(client.get(path, headers=READS).text)
    in_german(client.get(confirmation_link(room, purpose, "9" * 32, days=-1), headers=READS).text)


@pytest.mark.parametrize("purpose", ["subscribe", "export", "erase"])
def test_a_mailbox_that_has_no_say_reads_in_german_why(room: MailRoom, client: Client, purpose: Purpose) -> None:
    """Its address has changed since the mail, or is too new."""
    ask(room)
    old = confirmation_link(room, purpose)
    identify(room, "ada@new.example")
    assert "Die Adresse hat sich geändert" in in_german(client.get(old, headers=READS).text)
    new = in_german(client.get(confirmation_link(room, purpose, "2" * 32), headers=READS).text)
    assert ("Noch nicht" in new) is (purpose != "subscribe")


def test_what_goes_wrong_is_said_in_german(room: MailRoom, client: Client) -> None:
    """On every path; who was erased reads the day as Germans write it."""
    for path in ("/u/x", "/p/x", "/c/x", "/l/x", "/l/" + sign_hit(Hit("ab" * 16, 1), room.settings.secret)):
        in_german(client.get(path, headers=READS).text)
    room.forget("u:ada", at=datetime(2026, 3, 2, tzinfo=UTC))
    assert "am 2. März 2026 gelöscht" in in_german(client.get(link(room), headers=READS).text)


@pytest.mark.parametrize("wanted", ["", "fr", "en, de;q=0.5", "de;q=0", "*", "x" * 5000, "\xff, ;;q=q"])
def test_everybody_else_reads_english(room: MailRoom, client: Client, wanted: str) -> None:
    page = client.get(link(room), headers={"Accept-Language": wanted}).text
    assert '<html lang="en">' in page
    assert "Unsubscribe?" in page


def said_in_the_code() -> Iterator[str]:
    """Every text of the functions and their pages, and of what they offer."""
    for file in (*files("functions").iterdir(), files("tidings.permission").joinpath("choices.py")):
        if file.name.endswith(".py"):
            found = ast.walk(ast.parse(file.read_text("utf-8")))
            yield from (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))
    for file in files("functions").joinpath("pages").iterdir():
        yield from re.findall(r'say\("([^"]*)"', file.read_text("utf-8"))


def test_no_sentence_is_kept_that_nobody_says() -> None:
    """A sentence that was changed in the code would be said in English."""
    assert set(GERMAN) - set(said_in_the_code()) == set()


@pytest.mark.parametrize("sentence", GERMAN)
def test_the_facts_of_a_sentence_are_in_both_languages(sentence: str) -> None:
    def names(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text)} - {None}

    assert names(GERMAN[sentence]) == names(sentence)


def test_facts_are_no_templates() -> None:
    """A kind of mail may be called anything."""
    assert speech.ENGLISH("Stop {kind}", kind="{sender.__class__}") == "Stop {sender.__class__}"
