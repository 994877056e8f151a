"""What providers report is kept, told and obeyed: with a real store, real Pub/Sub, and requests that are signed."""

import pytest

from tests.functions.desk import (
    DELIVERED,
    HARD,
    LEFT,
    SOFT,
    SPAM,
    Desk,
    a_sent_mail,
    at_ada,
    counted,
    feedback,
    suppressed,
)
from tests.functions.mail_room import MailRoom
from tests.sends import a_decision
from tests.webhooks.requests import PROVIDERS, about, sample
from tidings.permission.consent import permission
from tidings.wire.decisions import Decision

# What a report does


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_delivery_is_kept_and_told(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    assert desk.bring(provider, at_ada(provider, DELIVERED[provider], sent)) == 200
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.source, kept.person) == ("delivered", provider, "u:ada")
    (event,) = room.events()
    assert (event.event, event.user_id, event.timestamp) == ("Email Delivered", "ada", kept.at)
    assert event.objects["properties"]["email_id"] == sent.send_id
    assert suppressed(room) is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_dead_address_is_never_mailed_again(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    """Under its digest, and counted where the breaker looks."""
    assert desk.bring(provider, at_ada(provider, HARD[provider], sent)) == 200
    assert suppressed(room) == "bounced"
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.detail["permanent"]) == ("bounced", True)
    (event,) = room.events()
    assert (event.event, event.objects["properties"]["permanent"]) == ("Email Bounced", True)
    assert counted(room, "sendgrid", desk.now) == {"hard_bounced": 1}
    second = a_decision(episode="e2")
    assert room.push(second) == 204
    assert room.ending(second)[:2] == ("suppressed", "suppressed_address")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_is_kept_and_told_and_suppresses_nothing(
    desk: Desk, room: MailRoom, sent: Decision, provider: str
) -> None:
    assert desk.bring(provider, at_ada(provider, SOFT[provider], sent)) == 200
    assert [one.detail["permanent"] for one in feedback(room, sent)] == [False]
    assert [event.event for event in room.events()] == ["Email Bounced"]
    assert suppressed(room) is None
    assert counted(room, "sendgrid", desk.now) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_complaint_suppresses_and_withdraws(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    """Whoever calls a mail spam has not agreed to it any more, whatever address they use."""
    assert desk.bring(provider, at_ada(provider, SPAM[provider], sent)) == 200
    assert suppressed(room) == "complained"
    assert permission("marketing", "reminders", room.store.consent("u:ada")) == "opted_out"
    record = room.store.consent("u:ada")[-1]
    assert (record.category, record.action, record.source) == ("marketing", "withdrawn", provider)
    assert sorted(str(event.event) for event in room.events()) == ["Email Marked as Spam", "Unsubscribed"]
    assert counted(room, "sendgrid", desk.now) == {"complained": 1}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_leaves_at_the_provider_has_left(desk: Desk, room: MailRoom, sent: Decision, provider: str) -> None:
    """One consent record and one event, and the address stays as it is."""
    assert desk.bring(provider, at_ada(provider, LEFT[provider], sent)) == 200
    assert permission("marketing", "cart", room.store.consent("u:ada")) == "opted_out"
    (event,) = room.events()
    assert (event.event, event.objects["properties"]["source"]) == ("Unsubscribed", provider)
    assert [one.kind for one in feedback(room, sent)] == ["unsubscribed"]
    assert suppressed(room) is None


@pytest.mark.parametrize(
    ("provider", "name"), [("sendgrid", "group_unsubscribe"), ("ses", "Subscription of one topic")]
)
def test_who_leaves_one_group_leaves_one_category(
    desk: Desk, room: MailRoom, sent: Decision, provider: str, name: str
) -> None:
    assert desk.bring(provider, at_ada(provider, name, sent)) == 200
    records = room.store.consent("u:ada")
    assert permission("marketing", "reminders", records) == "opted_out"
    assert permission("marketing", "cart", records) is None


def test_a_deferral_is_kept_and_is_nobodys_business(desk: Desk, room: MailRoom, sent: Decision) -> None:
    assert desk.bring("ses", at_ada("ses", "DeliveryDelay", sent)) == 200
    (kept,) = feedback(room, sent)
    assert (kept.kind, kept.detail) == ("deferred", {"status": "4.4.1", "verdict": "temporary"})
    assert room.events() == []


@pytest.mark.parametrize(
    ("provider", "name", "agent"),
    [
        ("sendgrid", "open that a machine made", "prefetch"),
        ("sendgrid", "open that no machine made", "unknown"),
        ("mailgun", "opened by generic", "scanner"),
        ("ses", "Open", "unknown"),
        ("postmark", "Open", "unknown"),
    ],
)
def test_what_a_provider_saw_of_opens_is_kept_and_moves_nothing(
    desk: Desk, room: MailRoom, sent: Decision, provider: str, name: str, agent: str
) -> None:
    """Nobody looked at who it was, so it counts for nobody."""
    assert desk.bring(provider, at_ada(provider, name, sent)) == 200
    (kept,) = room.store.feedback("u:ada", sent.send_id, origins=True)
    assert (kept.kind, kept.agent) == ("opened", agent)
    assert kept.origin is not None
    assert kept.origin.ip
    assert room.events() == []


def test_a_click_is_kept_by_the_number_of_our_link(desk: Desk, room: MailRoom, sent: Decision) -> None:
    assert desk.bring("sendgrid", at_ada("sendgrid", "click", sent)) == 200
    assert [one.detail for one in feedback(room, sent)] == [{"link": 2}]
    assert room.events() == []


def test_one_request_may_bring_everything_at_once(desk: Desk, room: MailRoom, sent: Decision) -> None:
    content = at_ada("sendgrid", "all in one request", sent)
    for number, event in enumerate(content):
        event["sg_event_id"] = str(number)
    assert desk.bring("sendgrid", content) == 200
    assert len(feedback(room, sent)) == 9


# Whose address


def test_a_bounce_at_another_address_suppresses_neither(desk: Desk, room: MailRoom, sent: Decision) -> None:
    """A mail that was passed on bounced where it was passed on to; the person's own address took it."""
    assert desk.bring("ses", about("ses", sample("ses", "notification: bounce with a DSN"), sent.send_id)) == 200
    assert (suppressed(room), suppressed(room, "jane@example.com")) == (None, None)
    assert [one.kind for one in feedback(room, sent)] == ["bounced"]


def test_of_two_in_one_bounce_ours_is_suppressed(desk: Desk, room: MailRoom, sent: Decision) -> None:
    content = at_ada("ses", "notification: bounce of two without a DSN", sent)
    assert desk.bring("ses", content) == 200
    assert (suppressed(room), suppressed(room, "richard@example.com")) == ("bounced", None)


def test_our_own_desk_is_never_suppressed_nor_unsubscribed(desk: Desk, room: MailRoom) -> None:
    """A mail to a role is about a person, and its bounce is not."""
    to_support = a_sent_mail(room, to="support", kind="transactional")
    for name in ("Bounce", "SpamComplaint", "SubscriptionChange by the person"):
        assert desk.bring("postmark", at_ada("postmark", name, to_support)) == 200
    assert suppressed(room) is None
    assert permission("marketing", "reminders", room.store.consent("u:ada")) is None
    assert room.events() == []
    assert len(feedback(room, to_support)) == 3


@pytest.mark.parametrize(
    ("name", "reason", "counts"),
    [
        ("Bounce, Permanent Suppressed", "bounced", {"hard_bounced": 1}),
        ("Bounce, Permanent OnAccountSuppressionList", None, {}),
    ],
)
def test_of_amazons_two_lists_the_one_for_all_its_customers_tells_of_a_dead_address(
    desk: Desk, room: MailRoom, sent: Decision, name: str, reason: str | None, counts: dict[str, int]
) -> None:
    """The account's own may be about a complaint, and tells of nothing new: who moves here would be stopped by it."""
    assert desk.bring("ses", at_ada("ses", name, sent)) == 200
    assert (suppressed(room), counted(room, "sendgrid", desk.now)) == (reason, counts)
