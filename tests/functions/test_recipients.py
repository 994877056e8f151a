"""Mail to a role: to ourselves, about a person, with what the person did lately."""

import re
from typing import Any

import pytest

from tests.functions.mail_room import SUPPORT, MailRoom, ago
from tests.sends import NOW, a_decision
from tidings.explaining.advice import stop_of_mailer
from tidings.permission.consent import address_digest, erased_marker
from tidings.records.store import Activity
from tidings.wire import decisions
from tidings.wire.decisions import Decision


def for_support(person: str = "u:ada", **fields: Any) -> Decision:
    """A decision to tell support that somebody cannot log in."""
    asked = {"to": "support", "kind": "transactional", "category": "support", "template": "login-trouble", **fields}
    return a_decision(person, **asked, properties={"reason": "wrong password"})


def body(room: MailRoom) -> str:
    """The text of the only mail."""
    [mail] = room.mail.mails
    [text, _] = mail.parsed.iter_parts()
    return str(text.get_content()).replace("\r\n", "\n")


def test_the_mail_goes_to_the_roles_address_and_says_what_the_person_did(room: MailRoom) -> None:
    """Newest first, beside who it is; and it is no mailing list."""
    room.remember("u:ada", "Signed In", "Login Failed", at=NOW)
    decision = for_support()
    assert room.push(decision) == 204
    [mail] = room.mail.mails
    assert mail.recipients == [SUPPORT]
    assert mail.parsed["To"] == SUPPORT
    assert mail.parsed["List-Unsubscribe"] is None
    assert mail.parsed["Auto-Submitted"] == "auto-generated"
    text = body(room)
    assert "ada@example.com" in text
    assert re.search(r"12:00:00 +Login Failed\n.*11:59:59 +Signed In\n", text)
    assert room.ending(decision) == ("sent", None, "")


def test_neither_profile_nor_consent_is_needed(room: MailRoom) -> None:
    """Who cannot log in may be anybody; and it is we who are written to, not they."""
    room.remember("a:stranger", "Login Failed", at=NOW)
    room.remember("u:ada", "Login Failed", at=NOW)
    room.consent("u:ada", "marketing", given=False, at=ago(minutes=1))
    assert [room.push(for_support("a:stranger")), room.push(for_support())] == [204, 204]
    assert [mail.recipients for mail in room.mail.mails] == [[SUPPORT], [SUPPORT]]


def test_the_suppression_list_is_about_people_and_not_about_roles(room: MailRoom) -> None:
    """Neither the person's address on it nor the role's own silences a call for help."""
    for address in ("ada@example.com", SUPPORT):
        room.store.suppress(address_digest(address, room.settings.secret), "bounced", ago(days=1))
    room.remember("u:ada", "Login Failed", at=NOW)
    assert room.push(for_support()) == 204
    assert [mail.recipients for mail in room.mail.mails] == [[SUPPORT]]


def test_a_roles_mailbox_that_is_gone_is_for_somebody_to_look_at_and_not_suppressed(room: MailRoom) -> None:
    """It is our own, so it will be mended, and the next mail is tried."""
    room.remember("u:ada", "Login Failed", at=NOW)
    first, second = for_support(), for_support(episode="e2")
    room.mail.answers["RCPT"] = ["550 5.1.1 no such user"]
    assert [room.push(first), room.push(second)] == [204, 204]
    assert room.ending(first) == ("dead_lettered", None, "the mail server says: RCPT 550 5.1.1")
    assert [letter.reason for letter in room.dead_letters()] == ["refused"]
    assert room.ending(second) == ("sent", None, "")


@pytest.mark.parametrize("role", ["sales", "night-shift"])
def test_a_role_without_an_address_is_dead_lettered(room: MailRoom, role: str) -> None:
    """Trying again would not give it one; somebody who can does hear of it, and can replay the decision."""
    room.remember("u:ada", "Login Failed", at=NOW)
    decision = for_support(to=role)
    assert [room.push(decision), room.push(decision)] == [204, 204]
    status, _, detail = room.ending(decision)
    assert (status, detail) == ("dead_lettered", f"unknown_role: TIDINGS_ROLES has no address for {role}")
    [letter] = room.dead_letters()
    assert (letter.reason, decisions.decode(letter.data)) == ("unknown_role", decision)
    assert room.mail.mails == []


def test_a_young_decision_waits_until_the_activity_tells_what_caused_it(room: MailRoom) -> None:
    """The pipeline writes both at about the same time, and a table that lacks the point is of no use."""
    decision = for_support(decided_at=ago(seconds=1))
    room.remember("u:ada", "Signed In", at=NOW.replace(hour=9))
    assert room.push(decision) == 503
    room.remember("u:ada", "Login Failed", at=NOW)
    assert room.push(decision) == 204
    assert "Signed In" in body(room)


def test_an_old_decision_goes_out_with_the_activity_that_there_is(room: MailRoom) -> None:
    """It may have been erased meanwhile, and the call for help still counts."""
    assert room.push(for_support("a:stranger", decided_at=ago(seconds=61))) == 204
    assert "Nothing is kept of what they did" in body(room)


def test_the_decision_itself_is_not_part_of_what_the_person_did(room: MailRoom) -> None:
    """Other decisions are: an email that went out an hour ago may be why they came."""
    decision = for_support()
    room.remember("u:ada", "Login Failed", at=NOW)
    for rule, send_id in (("login-trouble", decision.send_id), ("cart-abandoned", "0" * 32)):
        line = Activity(
            activity_id=f"d-{send_id}", person="u:ada", at=NOW, kind="decision", label=rule, detail={"send_id": send_id}
        )
        room.store.append_activity([line])
    assert room.push(decision) == 204
    text = body(room)
    assert "Rule: cart-abandoned" in text
    assert "Rule: login-trouble" not in text


# Mail to a person


def test_the_newsletter_goes_to_those_alone_who_have_confirmed_it_from_their_mailbox(room: MailRoom) -> None:
    """The shipped category asks for a double opt-in; even a yes to it is only somebody typing an address."""
    first, second, third = (a_decision(category="newsletter", episode=name) for name in ("e1", "e2", "e3"))
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=9))
    assert room.push(first) == 204
    assert room.ending(first) == ("suppressed", "no_consent", "")
    room.consent("u:ada", "newsletter", given=True, confirmed=True, at=ago(minutes=8))
    assert room.push(second) == 204
    assert room.ending(second) == ("sent", None, "")
    room.consent("u:ada", "newsletter", given=False, at=ago(minutes=7))
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=6))
    assert room.push(third) == 204
    assert room.ending(third) == ("suppressed", "no_consent", "")


def test_who_was_erased_gets_no_mail_when_their_address_is_brought_once_more(room: MailRoom) -> None:
    """The pipeline has put a marker in its place, which is no address, and the ledger says what it is."""
    marker = erased_marker(address_digest("grace@example.com", room.settings.secret))
    room.meet("u:grace", marker)
    decision, receipt = a_decision("u:grace"), a_decision("u:grace", episode="e2", kind="transactional")
    assert [room.push(decision), room.push(receipt)] == [204, 204]
    assert room.ending(decision) == room.ending(receipt) == ("suppressed", "suppressed_address", "erased")
    assert room.mail.mails == []
    stop = stop_of_mailer(room.entry(decision))
    assert stop is not None
    assert stop.gate == "suppression"
