"""The operator's `sending.yaml`: how fast mail may leave, and when it must stop."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.contracts.samples import at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.errors import InvalidRuleError
from tidings.mailing import sending
from tidings.mailing.sending import Sending

POLICY = Path(__file__).parents[2] / "rules" / "policy"


def written(folder: Path, text: str) -> Sending:
    """What a policy folder with this `sending.yaml` says."""
    (folder / "sending.yaml").write_text(text)
    return sending.load(str(folder))


def test_what_ships_limits_nothing_and_stops_when_too_much_bounces() -> None:
    """It writes out the defaults, so that they can be seen."""
    assert sending.load() == Sending()
    assert (Sending().rates, Sending().domains, Sending().warm_up) == ([], {}, None)
    assert Sending().breaker == sending.Breaker.model_validate(
        {"over": "24h", "at_least": 100, "hard_bounces": 5, "complaints": 0.3}
    )


def test_what_the_shipped_file_shows_in_its_comments_can_be_used(tmp_path: Path) -> None:
    """Whoever takes the # away gets what it says."""
    lines = (POLICY / "sending.yaml").read_text().splitlines()
    examples = [line.removeprefix("# ") for line in lines[3:] if line.startswith("# ")]
    found = written(tmp_path, "\n".join(examples))
    assert (found.rates[0].provider, found.rates[0].max, found.rates[0].per) == ("smtp", 100, 60_000)
    assert found.domains["*"].max == 50
    assert found.warm_up
    assert (found.warm_up.from_, found.warm_up.days[:2]) == (date(2026, 12, 1), [50, 100])


def test_a_folder_without_the_file_has_the_defaults(tmp_path: Path) -> None:
    assert sending.load(str(tmp_path)) == Sending()


def test_a_file_with_nothing_but_comments_has_the_defaults(tmp_path: Path) -> None:
    assert written(tmp_path, "# nothing\n") == Sending()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rates: [{provider: smpt, max: 1, per: 1m}]", "rates[0].provider: must be 'smtp', "),
        ("rates: [{provider: smtp, max: 0, per: 1m}]", "rates[0].max: must be greater than or equal to 1"),
        ("rates: [{provider: smtp, max: 1, per: 5s}]", "rates[0].per: must be from 10s to 1d"),
        (
            "rates: [{provider: smtp, max: 5, per: 1m}, {provider: ses, max: 5, per: 1m},"
            " {provider: smtp, max: 6, per: 60s}]",
            "rates: has two limits of one provider for the same stretch of time",
        ),
        ("domains: {'@gmail.com': {max: 1, per: 1m}}", "domains: '@gmail.com' is no domain that mail can go to"),
        ("domains: {gmail: {max: 1, per: 1m}}", "domains: 'gmail' is no domain that mail can go to"),
        ("domains: {gmail.com: {max: 1, per: 1m}, GMail.com: {max: 2, per: 1m}}", "domains: names one domain twice"),
        ("domains: {gmail.com: {max: 1, per: 2d}}", "domains.gmail.com.per: must be from 10s to 1d"),
        ("warm_up: {from: 2026-12-01, days: []}", "warm_up.days: "),
        ("warm_up: {from: soon, days: [1]}", "warm_up.from: "),
        ("breaker: {over: 90m}", "breaker.over: must be whole hours, and at most 7d"),
        ("breaker: {bounces: 5}", "breaker.bounces: there is no such field; did you mean hard_bounces?"),
        ("limits: {}", "limits: there is no such field"),
    ],
)
def test_a_mistake_is_refused_by_path(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(InvalidRuleError) as refused:
        written(tmp_path, text)
    assert fault in str(refused.value)


def test_the_schema_that_editors_use_is_up_to_date() -> None:
    fresh = "run: python -m tidings.mailing.sending > rules/policy/sending.schema.json"
    assert (POLICY / "sending.schema.json").read_text() == sending.json_schema(), fresh


def test_what_becomes_of_mails_is_counted_by_provider_and_hour(tmp_path: Path) -> None:
    """The hour in which we hear of it, in UTC."""
    store = SqliteStore(str(tmp_path / "store.db"))
    for what, number in (("sent", 40), ("sent", 1), ("hard_bounced", 2)):
        sending.count(store, "smtp", what, at(0), number)  # type: ignore[arg-type]
    sending.count(store, "ses", "sent", at(0))
    sending.count(store, "smtp", "complained", at(3600))
    names = [
        sending.tally_name(provider, at(seconds)) for provider, seconds in (("smtp", 0), ("ses", 0), ("smtp", 3600))
    ]
    assert store.tallies(names) == [{"sent": 41, "hard_bounced": 2}, {"sent": 1}, {"complained": 1}]
    store.expire(at(0) + timedelta(days=7, hours=23))
    assert store.tallies(names[:1]) == [{"sent": 41, "hard_bounced": 2}]
    store.close()
