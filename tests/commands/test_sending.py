"""`tidings sending`: whether mail goes out, and stop and go by hand."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tidings.commands.main import main
from tidings.mailing import breaker, sending
from tidings.mailing.allowances import Allowances, windows
from tidings.mailing.retry_after import Busy

POLICY = """
rates: [{provider: smtp, max: 100, per: 1d}]
domains: {gmail.com: {max: 20, per: 1d}}
warm_up: {from: 2020-01-01, days: [%s]}
"""


@pytest.fixture
def ran(place, capsys):
    """Runs `tidings sending ...` on the store of a working folder; the exit code, and what was said."""
    place.use(lambda store: store.note("sending"))

    def run(*line):
        capsys.readouterr()
        code = main(["sending", *line])
        said = capsys.readouterr()
        return code, " ".join((said.out + said.err).split())

    return run


def test_mail_goes_out_until_somebody_stops_it(ran):
    assert ran("status") == (0, "Mail goes out.")


def test_marketing_mail_can_be_stopped_and_the_reason_is_told(place, ran):
    assert ran("pause", "--why", "the list of the fair is bad") == (
        0,
        "Marketing mail waits; transactional mail goes on.",
    )
    code, said = ran("status")
    assert code == 1
    assert said.startswith("Marketing mail is stopped; transactional goes on, by the operator, since ")
    assert "the list of the fair is bad `tidings sending resume` lets it go on." in said
    assert ran("resume") == (0, "Mail goes on.")
    assert ran("status")[0] == 0
    assert ran("resume") == (0, "Nothing was stopped.")


def test_all_mail_can_be_stopped(place, ran):
    ran("pause", "--all")
    assert ran("status")[1].startswith("All mail is stopped, by the operator, since ")


def test_what_the_breaker_has_stopped_is_told_with_its_counts(place, ran):
    now = datetime.now(UTC)

    def bounce(store):
        sending.count(store, "smtp", "sent", now, 1000)
        sending.count(store, "smtp", "hard_bounced", now, 62)
        sending.count(store, "smtp", "complained", now, 1)
        breaker.look(store, sending.Breaker(), "smtp", now)

    place.use(bounce)
    code, said = ran("status")
    assert code == 1
    assert "by the breaker" in said
    assert "6.2% of 1,000 mails in the last 1d went to dead addresses; the limit is 5%" in said
    assert "smtp 1,000 62 (6.2%) 1 (0.1%)" in said
    ran("resume")
    assert "62" not in ran("status")[1]


def test_what_is_used_of_each_limit_is_told(place, ran):
    (place.folder / "sending.yaml").write_text(POLICY % ", ".join(["50"] * 400))
    policy = sending.load(str(place.folder)).model_copy(update={"warm_up": None})

    def send(store):
        now, allowances = datetime.now(UTC), Allowances(store)
        allowances.take(windows(policy, "smtp", "gmail.com", True, now), now)

    place.use(send)
    code, said = ran("status", "--policy", str(place.folder))
    assert code == 0
    assert "smtp: 100 per 1d 2 " in said
    assert "gmail.com: 20 per 1d 1 " in said
    assert "day" not in said.partition("Limits")[2]


def test_a_provider_that_wants_to_be_left_alone_is_named(place, ran):
    """That is no reason to do anything, so it counts as good."""
    now = datetime.now(UTC)
    place.use(lambda store: Busy(store, "sendgrid").begin(timedelta(minutes=10), now))
    code, said = ran("status")
    assert code == 0
    assert f"sendgrid wants to be left alone until {now + timedelta(minutes=10):%Y-%m-%d %H:%M:%S} UTC" in said


def test_it_is_told_as_json_too(place, ran):
    ran("pause", "--why", "moving")
    code, said = ran("status", "--json")
    told = json.loads(said)
    assert (code, told["stopped"], told["why"], told["counts"], told["limits"]) == (1, "marketing", "moving", {}, [])


def test_a_policy_that_is_refused_is_named(place, ran):
    (place.folder / "sending.yaml").write_text("rates: [{provider: smtp, max: 0, per: 1m}]")
    code, said = ran("status", "--policy", str(place.folder))
    assert (code, "rates[0].max" in said) == (1, True)
