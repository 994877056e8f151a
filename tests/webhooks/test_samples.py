"""Every provider's documented samples are understood as their documentation means them."""

import json
import re
from typing import Any

import pytest

from tests.webhooks.requests import PROVIDERS, Sample, about, sample, samples, signed
from tidings.errors import InvalidEventError
from tidings.records.feedback import FEEDBACK_KINDS
from tidings.webhooks import mailgun, postmark, sendgrid, ses
from tidings.webhooks.reports import Reading, Report

PARSERS = {"sendgrid": sendgrid.parse, "ses": ses.parse, "mailgun": mailgun.parse, "postmark": postmark.parse}
EVERY = [pytest.param(who, one, id=f"{who}: {one.name}") for who in PROVIDERS for one in samples(who)]
TELLING = [pytest.param(who, one, id=f"{who}: {one.name}") for who in PROVIDERS for one in samples(who) if one.says]
SEND_ID = "0123456789abcdef0123456789abcdef"


def parsed(provider: str, content: Any) -> Reading:
    return PARSERS[provider](signed(provider, content).body)


def facts(report: Report, asked: dict[str, Any]) -> dict[str, Any]:
    """What the report says of what a sample's documentation speaks of."""
    detail = report.feedback("u:ada", report.at).detail
    known = {"permanent": detail.get("permanent"), "ip": report.origin.ip if report.origin else None}
    return {name: known[name] if name in known else getattr(report, name) for name in asked}


@pytest.mark.parametrize(("provider", "one"), EVERY)
def test_a_sample_means_what_it_is_documented_to_mean(provider: str, one: Sample) -> None:
    reading = parsed(provider, one.body)
    assert [facts(*pair) for pair in zip(reading.reports, one.says, strict=True)] == one.says
    assert dict(+reading.ignored) == one.ignored
    assert reading.unreadable == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_sample_names_its_source_and_nobody_real(provider: str) -> None:
    for each in samples(provider):
        assert each.source
        for domain in re.findall(r"@([\w.-]+)", json.dumps(each.body)):
            assert re.search(r"(^|\.)(example(\.(com|org))?|invalid)$|ismtpd", domain), each.name


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_samples_of_a_provider_cover_every_kind_of_feedback(provider: str) -> None:
    assert {says["kind"] for each in samples(provider) for says in each.says} == set(FEEDBACK_KINDS)


@pytest.mark.parametrize(("provider", "one"), TELLING)
def test_our_metadata_says_which_mail_it_is_about(provider: str, one: Sample) -> None:
    assert {report.send_id for report in parsed(provider, one.body).reports} == {""}
    assert {report.send_id for report in parsed(provider, about(provider, one.body, SEND_ID)).reports} == {SEND_ID}


def test_without_metadata_our_message_id_says_it() -> None:
    """A mail that went through a provider's SMTP relay carries no metadata."""
    ours = f"<{SEND_ID}@shop.example>"
    (event,) = sample("sendgrid", "delivered")
    assert [one.send_id for one in parsed("sendgrid", [{**event, "smtp-id": ours}]).reports] == [SEND_ID]
    told = {"event": "delivered", "timestamp": 1.5, "message": {"headers": {"message-id": ours.strip("<>")}}}
    assert [one.send_id for one in parsed("mailgun", {"event-data": told}).reports] == [SEND_ID]
    bounce = sample("ses", "Bounce")
    bounce["mail"]["headers"].append({"name": "Message-ID", "value": ours})
    assert [one.send_id for one in parsed("ses", bounce).reports] == [SEND_ID]


def test_metadata_that_is_no_send_id_leaves_it_to_the_message_id() -> None:
    """Another system of the same account may use the name for something of its own."""
    ours = f"<{SEND_ID}@shop.example>"
    (event,) = sample("sendgrid", "delivered")
    for other in ("42", SEND_ID.upper(), SEND_ID + "0", ""):
        reading = parsed("sendgrid", [{**event, "tidings_send_id": other, "smtp-id": ours}])
        assert [one.send_id for one in reading.reports] == [SEND_ID]


def test_two_things_that_happen_to_one_mail_in_one_instant_have_two_ids() -> None:
    """Amazon names neither; an open and a click of one scanner may well be in one millisecond."""
    at = {"timestamp": "2017-08-09T23:51:25.570Z"}
    mail = sample("ses", "Open")["mail"]
    opened = parsed("ses", {"eventType": "Open", "mail": mail, "open": at}).reports
    clicked = parsed("ses", {"eventType": "Click", "mail": mail, "click": at}).reports
    assert opened[0].feedback_id != clicked[0].feedback_id


def test_the_same_event_has_the_same_id_and_every_other_another() -> None:
    for provider in PROVIDERS:
        batch = [each.body for each in samples(provider) if len(each.says) == 1]
        first = [parsed(provider, body).reports[0].feedback_id for body in batch]
        assert first == [parsed(provider, body).reports[0].feedback_id for body in batch]
    two = parsed("ses", sample("ses", "notification: bounce of two without a DSN")).reports
    assert two[0].feedback_id != two[1].feedback_id


def test_a_time_with_seven_digits_of_fraction_and_an_offset_is_read() -> None:
    """As Postmark writes it."""
    (report,) = parsed(
        "postmark", next(one.body for one in samples("postmark") if one.name == "captured: Bounce")
    ).reports
    assert report.at.isoformat() == "2016-04-27T20:28:50.396393+00:00"


def test_what_is_kept_of_a_report_holds_no_address() -> None:
    """Nor a URL that somebody else has chosen: it may hold anything. The number of our own link is kept."""
    for provider in PROVIDERS:
        for each in samples(provider):
            for report in parsed(provider, each.body).reports:
                kept = report.feedback("u:ada", report.at)
                assert "@" not in json.dumps([kept.detail, kept.feedback_id])
                assert "url" not in kept.detail
    (report,) = parsed("sendgrid", sample("sendgrid", "click")).reports
    links = ("https://shop.example/", "http://www.sendgrid.com/")
    assert report.feedback("u:ada", report.at, links).detail == {"link": 2}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]x", b"\xff", b'"text"', b"1", b"[" * 5000, b"\x00" * 10])
def test_what_is_no_body_of_theirs_is_said_to_be_unreadable(provider: str, body: bytes) -> None:
    with pytest.raises(InvalidEventError) as refused:
        PARSERS[provider](body)
    assert refused.value.reason == "unreadable"
    assert "\\" not in refused.value.detail


def test_one_unreadable_event_of_many_does_not_hold_up_the_others() -> None:
    (good,) = sample("sendgrid", "delivered")
    batch = [{**good, "timestamp": 1e300}, 7, {"event": "open"}, {**good, "email": {}}, good]
    reading = parsed("sendgrid", batch)
    assert [one.kind for one in reading.reports] == ["delivered"]
    assert len(reading.unreadable) == 4


@pytest.mark.parametrize("reason", ["suppress-bounce", "suppress-complaint", "suppress-unsubscribe"])
def test_what_mailgun_did_not_even_try_is_no_word_of_a_mail_server(reason: str) -> None:
    """Whatever status it writes beside it."""
    content = sample("mailgun", "failed, permanent, suppressed")
    content["event-data"] |= {"reason": reason, "delivery-status": {"code": 605, "enhanced-code": "5.1.1"}}
    assert [one.verdict for one in parsed("mailgun", content).reports] == ["address"]


@pytest.mark.parametrize(
    ("kind", "classification", "verdict"),
    [
        ("bounce", "Invalid Address", "dead_address"),
        ("bounce", "invalid", "dead_address"),
        ("bounce", "", "dead_address"),  # permanent, they write, and nothing speaks against it
        ("bounce", "Unclassified", "address"),
        ("bounce", "Mailbox Unavailable", "address"),
        ("bounce", "Content", "refused"),
        ("bounce", "Reputation", "refused"),
        ("bounce", "Frequency or Volume Too High", "refused"),
        ("bounce", "Technical Failure", "temporary"),
        ("blocked", "Invalid Address", "refused"),  # temporarily, they write
        ("blocked", "", "refused"),
        ("blocked", "Mailbox Unavailable", "address"),
    ],
)
def test_what_sendgrid_makes_of_a_bounce_counts_where_no_server_said_anything(
    kind: str, classification: str, verdict: str
) -> None:
    (bounce,) = sample("sendgrid", "bounce")
    said = {**bounce, "type": kind, "bounce_classification": classification, "status": "5.0.0", "reason": "500 no"}
    assert [one.verdict for one in parsed("sendgrid", [said]).reports] == [verdict]


@pytest.mark.parametrize(
    ("reason", "verdict", "note"),
    [
        ("Invalid", "dead_address", "dropped, invalid"),
        ("Bounced Address", "address", "dropped, bounced address"),
        ("Spam Reporting Address", "address", "dropped, spam reporting address"),
        ("Unsubscribed Address", "address", "dropped, unsubscribed address"),
        ("Spam Content (if Spam Checker app is enabled)", "refused", "dropped"),
        ("Recipient List over Package Quota", "refused", "dropped"),
        ("", "refused", "dropped"),
    ],
)
def test_why_sendgrid_dropped_a_mail_says_whose_fault_it_was(reason: str, verdict: str, note: str) -> None:
    (dropped,) = sample("sendgrid", "dropped")
    (report,) = parsed("sendgrid", [{**dropped, "reason": reason}]).reports
    assert (report.verdict, report.note) == (verdict, note)


def test_a_status_of_sendgrids_that_is_none_leaves_it_to_the_servers_words() -> None:
    (bounce,) = sample("sendgrid", "bounce")
    said = {**bounce, "status": "550", "reason": "550 5.7.1 <ada@example.com> refused"}
    (report,) = parsed("sendgrid", [said]).reports
    assert (report.status, report.verdict) == ("5.7.1", "refused")
    (report,) = parsed("sendgrid", [{**said, "status": "ada@example.com", "reason": ""}]).reports
    assert report.status == ""


@pytest.mark.parametrize("name", ["Bounce", "Complaint", "Delivery", "DeliveryDelay", "Open", "Click", "Subscription"])
def test_an_event_of_amazons_without_its_part_is_unreadable(name: str) -> None:
    """It is none of those that do not concern us, so it must not be counted among them and forgotten."""
    mail = sample("ses", "Delivery")["mail"]
    with pytest.raises(InvalidEventError):
        parsed("ses", {"eventType": name, "mail": mail})


def test_a_bounce_of_postmarks_of_a_new_type_is_a_bounce_of_which_nothing_more_is_known() -> None:
    (report,) = parsed("postmark", {**sample("postmark", "Bounce"), "Type": "BrandNew", "Details": ""}).reports
    assert (report.kind, report.verdict, report.note) == ("bounced", None, "BrandNew")
    (report,) = parsed(
        "postmark", {**sample("postmark", "Bounce"), "Type": "BrandNew", "Details": "550 5.1.1 ?"}
    ).reports
    assert (report.verdict, report.status) == ("dead_address", "5.1.1")


@pytest.mark.parametrize("answer", ["AutoResponder", "AddressChange", "OpenRelayTest", "Subscribe"])
def test_an_automatic_answer_that_postmark_calls_a_bounce_is_none(answer: str) -> None:
    reading = parsed("postmark", {**sample("postmark", "Bounce"), "Type": answer})
    assert (reading.reports, list(reading.ignored)) == ([], [answer.lower()])


def test_an_event_that_nobody_has_heard_of_is_counted_without_its_name_if_that_is_odd() -> None:
    (good,) = sample("sendgrid", "delivered")
    reading = parsed("sendgrid", [{**good, "event": "account_status_change"}, {**good, "event": "ada@example.com"}])
    assert dict(reading.ignored) == {"account_status_change": 1, "other": 1}
