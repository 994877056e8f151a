"""What speaks for a machine is found, and what could be a person is one."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feedback.user_agents import MACHINES, PEOPLE, Known
from tests.sends import NOW
from tidings.feedback.hits import BESIDE, BURST, EVERY_LINK, SIGNS, SOON, Visit, judge
from tidings.records.feedback import Agent, Feedback, Origin

CHROME = PEOPLE[0][0]
SENT_AT = NOW
LATER = NOW + timedelta(minutes=5)
MS = timedelta(milliseconds=1)


def visit(**fields: Any) -> Visit:
    """Somebody with a browser clicks the first link, minutes after the mail was sent."""
    origin = Origin(ip=fields.pop("ip", "192.0.2.7"), user_agent=fields.pop("user_agent", CHROME))
    filled: dict[str, Any] = {"kind": "clicked", "at": LATER, "method": "GET", "headers": {}, "link": 1, **fields}
    return Visit(origin=origin, **filled)


def other(link: int, seconds: float, **fields: Any) -> Feedback:
    """Another click on the same mail, so many seconds after that one."""
    at = LATER + timedelta(seconds=seconds)
    filled: dict[str, Any] = {
        "feedback_id": f"{link}-{seconds}",
        "person": "u:ada",
        "send_id": "0" * 32,
        "kind": "clicked",
        "source": "engage",
        "agent": "human",
        "detail": {"link": link},
        "origin": Origin(ip="198.51.100.1", user_agent=CHROME),
        **fields,
    }
    return Feedback(at=at, **filled)


# the request by itself


@pytest.mark.parametrize("kind", ["opened", "clicked"])
@pytest.mark.parametrize("name", [name for name, _ in PEOPLE])
def test_what_people_use_is_taken_for_people(name: str, kind: str) -> None:
    assert judge(visit(user_agent=name, kind=kind), SENT_AT, 5) == ("human", ())


@pytest.mark.parametrize("kind", ["opened", "clicked"])
@pytest.mark.parametrize("known", MACHINES, ids=lambda known: known.name[-30:] or "empty")
def test_a_machine_that_says_so_is_known(known: Known, kind: str) -> None:
    assert judge(visit(user_agent=known.name, kind=kind), SENT_AT, 5) == (known.agent, (known.reason,))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_who_does_not_want_the_page_is_no_person(method: str) -> None:
    assert judge(visit(method=method), SENT_AT, 1) == ("scanner", ("not_a_get",))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"x-purpose": "preview"},
        {"x-moz": "Prefetch"},
    ],
)
def test_who_fetches_ahead_says_so(headers: dict[str, str]) -> None:
    assert judge(visit(headers=headers), SENT_AT, 1) == ("prefetch", ("prefetch_header",))


def test_every_reason_is_given_and_the_strongest_decides() -> None:
    verdict = judge(visit(method="HEAD", headers={"purpose": "prefetch"}, user_agent=""), SENT_AT, 1)
    assert verdict == ("scanner", ("not_a_get", "prefetch_header", "no_user_agent"))


# time


@pytest.mark.parametrize(("after", "agent"), [(-SOON, "scanner"), (SOON - MS, "scanner"), (SOON, "human")])
def test_a_click_while_the_mail_is_still_on_its_way_is_no_persons(after: timedelta, agent: Agent) -> None:
    assert judge(visit(at=SENT_AT + after), SENT_AT, 1).agent == agent


@pytest.mark.parametrize("name", [CHROME, next(one.name for one in MACHINES if one.agent == "proxy")])
def test_an_image_that_is_fetched_so_early_nobody_looked_at(name: str) -> None:
    """Not even when a proxy fetches it that otherwise waits until somebody looks."""
    assert judge(visit(kind="opened", link=0, at=SENT_AT + MS, user_agent=name), SENT_AT, 1).agent == "prefetch"


# others


def test_three_links_at_once_are_no_person() -> None:
    first, second = other(2, -1.5), other(3, -0.5)
    assert judge(visit(), SENT_AT, 9, [first]).agent == "human"
    assert judge(visit(), SENT_AT, 9, [first, second]) == ("scanner", ("burst",))


def test_the_first_click_of_a_burst_is_known_for_what_it_was_when_the_others_are_there() -> None:
    assert judge(visit(), SENT_AT, 9, [other(2, 0.5), other(3, BURST.total_seconds())]).reasons == ("burst",)
    assert judge(visit(), SENT_AT, 9, [other(2, 0.5), other(3, BURST.total_seconds() + 0.001)]).agent == "human"


def test_a_burst_around_a_click_must_lie_in_one_stretch() -> None:
    """One link just before and one just after it are not three links within two seconds."""
    assert judge(visit(), SENT_AT, 9, [other(2, -1.5), other(3, 1.5)]).agent == "human"


def test_the_same_link_again_and_again_is_a_person_who_waits() -> None:
    assert judge(visit(), SENT_AT, 9, [other(1, second / 4) for second in range(-8, 0)]).agent == "human"


def test_of_two_links_both_at_once_are_enough() -> None:
    assert judge(visit(), SENT_AT, 2, [other(2, -1)]).reasons == ("burst",)
    assert judge(visit(), SENT_AT, 2, [other(2, -3)]).agent == "human"


def test_every_link_of_a_mail_within_seconds_is_no_person() -> None:
    slow = [other(link, -3 * (link - 1)) for link in (2, 3, 4)]
    assert judge(visit(), SENT_AT, 4, slow) == ("scanner", ("every_link",))
    assert judge(visit(), SENT_AT, 5, slow).agent == "human"
    last = other(4, -EVERY_LINK.total_seconds() - 0.001)
    assert judge(visit(), SENT_AT, 4, [*slow[:2], last]).agent == "human"


def test_a_scanner_is_known_again_for_a_while_by_where_it_is_and_what_it_is_called() -> None:
    origin = Origin(ip="192.0.2.7", user_agent=CHROME)
    head = other(1, -BESIDE.total_seconds(), agent="scanner", origin=origin)
    assert judge(visit(), SENT_AT, 1, [head]) == ("scanner", ("beside_scanner",))
    assert judge(visit(ip="192.0.2.8"), SENT_AT, 1, [head]).agent == "human"
    assert judge(visit(user_agent=PEOPLE[1][0]), SENT_AT, 1, [head]).agent == "human"
    assert judge(visit(at=LATER + MS), SENT_AT, 1, [head]).agent == "human"
    assert (
        judge(visit(ip=""), SENT_AT, 1, [other(1, -1, agent="scanner", origin=Origin(user_agent=CHROME))]).agent
        == "human"
    )


def test_opens_are_no_part_of_a_burst() -> None:
    opens = [other(link, -1, kind="opened") for link in (2, 3, 4)]
    assert judge(visit(), SENT_AT, 4, opens).agent == "human"
    assert judge(visit(kind="opened", link=0), SENT_AT, 4, [other(link, -1) for link in (2, 3, 4)]).agent == "human"


# laws


_NAMES = st.sampled_from([known.name for known in MACHINES] + [name for name, _ in PEOPLE]) | st.text(max_size=200)
_HEADERS = st.dictionaries(
    st.sampled_from(["sec-purpose", "purpose", "x-purpose", "x-moz"]) | st.text(max_size=20), st.text(max_size=50)
)
_OTHERS = st.lists(
    st.builds(
        other,
        st.integers(-1, 70_000),
        st.floats(-20, 20),
        agent=st.sampled_from(get_args(Agent)),
        kind=st.sampled_from(["opened", "clicked", "bounced"]),
        detail=st.dictionaries(st.just("link"), st.integers() | st.text() | st.none()),
        origin=st.none() | st.builds(Origin, ip=st.sampled_from(["", "192.0.2.7"]), user_agent=_NAMES),
    ),
    max_size=20,
)
_VISITS = st.builds(
    visit,
    kind=st.sampled_from(["opened", "clicked"]),
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "BREW"]) | st.text(max_size=8),
    headers=_HEADERS,
    ip=st.text(max_size=40),
    user_agent=_NAMES,
    link=st.integers(0, 65_535),
    at=st.timedeltas(timedelta(days=-1), timedelta(days=500)).map(lambda delta: NOW + delta),
)


@given(_VISITS, st.integers(0, 65_535), _OTHERS)
def test_whatever_comes_it_is_judged_and_says_why(one: Visit, links: int, others: list[Feedback]) -> None:
    """A person is who nothing speaks against; everybody else has a reason, and the first one names the agent."""
    agent, reasons = judge(one, SENT_AT, links, others)
    assert set(reasons) <= set(SIGNS)
    assert agent == (SIGNS[reasons[0]] if reasons else "human")


@given(_VISITS, st.integers(0, 20), _OTHERS)
def test_knowing_more_of_a_mail_never_makes_a_person_of_a_machine(
    one: Visit, links: int, others: list[Feedback]
) -> None:
    alone, together = judge(one, SENT_AT, links), judge(one, SENT_AT, links, others)
    assert set(alone.reasons) <= set(together.reasons)
    assert judge(one, SENT_AT, links, others[::-1]) == together, "and the order in which it is known does not matter"
