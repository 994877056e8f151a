"""What becomes of our mail is told as events of the person, in Segment's words, and only what a person did counts."""

from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sends import NOW, a_decision
from tidings.deciding import identity
from tidings.feedback import email_events
from tidings.ingest.event_names import KNOWN
from tidings.permission import consent
from tidings.records.feedback import FEEDBACK_KINDS, Agent, Feedback, Origin
from tidings.records.store import LedgerEntry, Letter
from tidings.wire import events
from tidings.wire.events import Event

SENT_AT = NOW
SEEN_AT = NOW + timedelta(minutes=3)
TOLD_AT = NOW + timedelta(minutes=4)
AGENTS: tuple[Agent, ...] = get_args(Agent)


def an_entry(status: str = "sent", letter: Letter | None = None, **fields: Any) -> LedgerEntry:
    """A mail to Ada, with two tracked links, as the ledger keeps it."""
    decision = a_decision(**fields.pop("decision", {}))
    links = ("https://shop.example/lamp?a=1&b=2#top", "https://shop.example/")
    letter = letter or Letter(provider="smtp", subject="Your lamp", links=links)
    filled: dict[str, Any] = {"updated_at": SENT_AT, "lease_until": SENT_AT, "letter": letter, **fields}
    return LedgerEntry(send_id=decision.send_id, status=status, decision=decision, **filled)


def feedback(kind: str, **fields: Any) -> Feedback:
    """Something that came back about that mail."""
    filled: dict[str, Any] = {
        "feedback_id": "f1",
        "person": "u:ada",
        "send_id": a_decision().send_id,
        "at": SEEN_AT,
        "source": "engage",
        "agent": "human",
        "origin": Origin(ip="192.0.2.7", user_agent="A browser"),
        **fields,
    }
    return Feedback(kind=kind, **filled)


def told(kind: str, entry: LedgerEntry | None = None, **fields: Any) -> Event | None:
    """The event that it becomes."""
    return email_events.of_feedback(feedback(kind, **fields), entry or an_entry(), TOLD_AT)


def said(event: Event | None) -> dict[str, Any]:
    """The properties of an event."""
    assert event is not None
    return event.read("properties")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("delivered", "Email Delivered"),
        ("bounced", "Email Bounced"),
        ("complained", "Email Marked as Spam"),
        ("unsubscribed", "Unsubscribed"),
        ("opened", "Email Opened"),
        ("clicked", "Email Link Clicked"),
    ],
)
def test_each_kind_has_the_name_and_the_properties_that_the_spec_gives_it(kind: str, name: str) -> None:
    event = told(kind, detail={"link": 1})
    assert event is not None
    assert (event.event, event.person, event.timestamp, event.received_at) == (name, "u:ada", SEEN_AT, TOLD_AT)
    documented = set(KNOWN[name] or ()) - {"list_id", "list_name"}
    assert documented <= set(said(event))
    assert said(event)["email_id"] == a_decision().send_id
    assert said(event)["email_subject"] == "Your lamp"
    assert said(event)["campaign_id"] == "viewed-three-times"


def test_a_deferral_is_no_event() -> None:
    assert told("deferred") is None


@pytest.mark.parametrize("agent", AGENTS)
def test_only_a_human_click_and_an_open_that_a_person_is_behind_become_events(agent: Agent) -> None:
    assert (told("clicked", agent=agent) is not None) is (agent == "human")
    assert (told("opened", agent=agent) is not None) is (agent in {"human", "proxy"})
    for kind in ("delivered", "bounced", "complained", "unsubscribed"):
        assert told(kind, agent=agent) is not None, "nobody asks who is behind these"


def test_a_click_says_which_link_it_was_and_where_it_led() -> None:
    assert said(told("clicked", detail={"link": 1})) | {
        "link_id": "1",
        "link_url": "https://shop.example/lamp?a=1&b=2#top",
        "agent": "human",
    } == said(told("clicked", detail={"link": 1}))
    assert said(told("clicked", detail={"url": "https://shop.example/x"}))["link_url"] == "https://shop.example/x"
    assert "link_url" not in said(told("clicked", detail={"link": 3})), "the mail has no such link"


def test_an_unsubscription_that_does_not_say_of_what_is_one_of_everything() -> None:
    """And the pipeline reads it as the consent that it is."""
    for detail, category in (({}, consent.MARKETING), ({"category": "cart"}, "cart")):
        event = told("unsubscribed", detail=detail, source="sendgrid")
        assert event is not None
        [record] = consent.from_event(event)
        assert (record.category, record.action, record.source) == (category, "withdrawn", "sendgrid")


def test_a_bounce_says_whether_it_is_for_good() -> None:
    assert said(told("bounced", detail={"status": "4.2.2", "permanent": False}))["permanent"] is False


def test_what_the_ledger_has_forgotten_is_told_with_what_is_left() -> None:
    event = email_events.of_feedback(feedback("clicked", detail={"link": 1}), None, TOLD_AT)
    assert said(event) == {"email_id": a_decision().send_id, "agent": "human", "link_id": "1"}


def test_an_ending_is_told_and_nothing_before_it() -> None:
    sent, suppressed = (email_events.of_ending(an_entry(status)) for status in ("sent", "suppressed"))
    assert sent is not None
    assert suppressed is not None
    assert (sent.event, suppressed.event) == ("Email Sent", "Email Suppressed")
    assert sent.timestamp == SENT_AT
    for status in ("claimed", "waiting", "handing_over", "shadow", "dead_lettered"):
        assert email_events.of_ending(an_entry(status)) is None


def test_a_suppressed_mail_says_why() -> None:
    event = email_events.of_ending(an_entry("suppressed", reason="opted_out"))
    assert said(event)["reason"] == "opted_out"
    assert event is not None
    assert event.event is not None
    assert set(KNOWN[event.event] or ()) <= set(said(event))


@pytest.mark.parametrize("kind", FEEDBACK_KINDS)
def test_mail_to_a_role_is_no_event_of_the_person_whom_it_is_about(kind: str) -> None:
    entry = an_entry(decision={"to": "support", "kind": "transactional"})
    assert told(kind, entry) is None
    assert email_events.of_ending(entry) is None


@given(st.sampled_from(FEEDBACK_KINDS), st.sampled_from(["u:ada", "a:4711", "u:a:b"]), st.text(max_size=300))
def test_telling_it_twice_is_telling_it_once_and_joins_nobody(kind: str, person: str, feedback_id: str) -> None:
    """Every event survives the wire, names one person, and carries no address of anybody."""
    one = told(kind, person=person, feedback_id=feedback_id)
    again = email_events.of_feedback(feedback(kind, person=person, feedback_id=feedback_id), None, SEEN_AT)
    if one is None or again is None:
        assert kind == "deferred"
        return
    assert one.message_id == again.message_id
    assert len(one.message_id) <= 100
    read = events.decode(events.encode(one))
    assert read.person == person
    assert identity.addressees(read) == (person,)
    assert b"192.0.2.7" not in events.encode(one)


def test_the_same_report_about_two_people_is_two_events() -> None:
    ids = {event.message_id for event in (told("bounced", person=one) for one in ("u:ada", "u:bob")) if event}
    assert len(ids) == 2


def test_properties_are_plain_json() -> None:
    event = told("clicked", detail={"link": 2})
    assert event is not None
    assert msgspec.json.decode(event.properties) == said(event)
