"""Whatever stands in the place of what a provider documents, reading it ends: in reports that can be kept, or a no."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.requests import NOW, PROVIDERS, about, samples, signed
from tidings.errors import InvalidEventError
from tidings.permission.consent import address_digest
from tidings.webhooks import mailgun, postmark, sendgrid, ses

PARSERS = {"sendgrid": sendgrid.parse, "ses": ses.parse, "mailgun": mailgun.parse, "postmark": postmark.parse}
SEND_ID = "0123456789abcdef0123456789abcdef"
SECRET = "a secret of the right length"
GONE = object()
ODD = [
    GONE,
    None,
    True,
    -1,
    1e300,
    10**30,
    253402300800,  # the first second that no calendar has
    "",
    "\x00",
    "5.1.1",
    "ada@example.com\r\nBcc: x",
    "a" * 70 + "@" + "b." * 200 + "c",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "x" * 100_000,
    [],
    {},
    [None],
    [{}],
    {"a": 1},
]


def places(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in the content, but for the content itself."""
    if above:
        yield above
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inside:
        yield from places(value, (*above, key))


def tampered(content: Any, place: tuple[Any, ...], value: object) -> Any:
    """A copy with something else at this place."""
    copy = json.loads(json.dumps(content))
    around = copy
    for key in place[:-1]:
        around = around[key]
    if value is GONE:
        del around[place[-1]]
    else:
        around[place[-1]] = value
    return copy


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_sample_that_was_tampered_with_is_read_or_refused(provider: str, data: st.DataObject) -> None:
    content = about(provider, data.draw(st.sampled_from(samples(provider))).body, SEND_ID)
    for _ in range(data.draw(st.integers(1, 3))):
        if found := list(places(content)):
            content = tampered(content, data.draw(st.sampled_from(found)), data.draw(st.sampled_from(ODD)))
    try:
        reading = PARSERS[provider](signed(provider, content).body)
    except InvalidEventError as fault:
        assert fault.reason == "unreadable"
        return
    told = len(reading.reports) + len(reading.unreadable) + sum(reading.ignored.values())
    assert told > 0 or content == []  # nothing that was said is nowhere
    for report in reading.reports:
        kept = report.feedback("u:ada", NOW)
        assert msgspec.json.decode(msgspec.json.encode(kept), type=type(kept)) == kept
        assert kept.at <= NOW
        assert len(address_digest(report.recipient, SECRET)) == 64
