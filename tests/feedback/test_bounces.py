"""One table says whose fault it is that a mail came back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.feedback.bounces import Verdict, classify, status_in

VERDICTS: tuple[Verdict, ...] = ("dead_address", "address", "refused", "temporary")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("5.1.1", "dead_address"),  # no such mailbox
        ("5.1.2", "dead_address"),  # no such domain
        ("5.1.3", "dead_address"),  # no address at all
        ("5.1.6", "dead_address"),  # moved away
        ("5.1.10", "dead_address"),  # the domain takes no mail
        ("5.1.0", "address"),
        ("5.1.4", "address"),  # ambiguous
        ("5.1.7", "refused"),  # the sender's syntax
        ("5.1.8", "refused"),  # the sender's domain
        ("5.2.1", "address"),  # disabled; or too much mail for it
        ("5.2.2", "address"),  # full
        ("5.2.3", "refused"),  # this mail is too large
        ("5.4.4", "address"),  # no route
        ("5.4.310", "address"),  # no such domain, as Exchange Online says it
        ("5.4.1", "address"),  # unknown to Microsoft's edge
        ("5.4.6", "refused"),  # a loop
        ("5.6.0", "refused"),  # content
        ("5.7.1", "refused"),  # policy
        ("5.7.26", "refused"),  # authentication
        ("5.0.0", "refused"),
        ("4.7.0", "temporary"),
        ("4.2.2", "temporary"),
        ("", None),
        ("nonsense", None),
    ],
)
def test_a_status_says_whose_fault_it_is(status: str, verdict: Verdict | None) -> None:
    assert classify(status) == verdict


@pytest.mark.parametrize("status", ["5.7.1", "4.7.1", "5.2.2", "5.1.8", "5.6.1"])
@given(hint=st.sampled_from([None, *VERDICTS]))
def test_no_provider_can_turn_a_refusal_into_a_dead_address(status: str, hint: Verdict | None) -> None:
    """Policies, full mailboxes and content speak of one mail. Suppressing an address is for good."""
    assert classify(status, hint) != "dead_address"


@pytest.mark.parametrize("status", ["5.1.1", "5.1.10"])
@given(hint=st.sampled_from([None, *VERDICTS]))
def test_no_provider_can_talk_a_dead_address_alive(status: str, hint: Verdict | None) -> None:
    assert classify(status, hint) == "dead_address"


@pytest.mark.parametrize("status", ["5.0.0", "5.3.0", "5.2.1", ""])
def test_a_status_that_says_little_leaves_it_to_the_provider(status: str) -> None:
    assert classify(status, "dead_address") == "dead_address"
    assert classify(status, "temporary") == "temporary"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("smtp; 550 5.1.1 <ada@example.com>... User unknown", "5.1.1"),
        ("smtp;550-5.7.26 This mail has been blocked", "5.7.26"),
        ("smtp; 550 #5.1.0 Address rejected.", "5.1.0"),
        ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", "4.7.0"),
        ("connect to 5.1.1.20 failed", ""),
        ("550 blocked 25.1.1 or 5.1.1.1 or v5.1.1000", ""),
        ("250 2.0.0 OK", "2.0.0"),
        ("", ""),
    ],
)
def test_the_status_is_found_in_what_a_server_said(text: str, status: str) -> None:
    """And nothing that looks like one, such as an address of the Internet's, is taken for it."""
    assert status_in(text) == status


@given(st.text())
def test_any_text_has_a_status_or_none(text: str) -> None:
    assert classify(status_in(text)) in (None, *VERDICTS)
