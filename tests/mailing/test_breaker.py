"""Marketing mail stops when too much of it bounces or is called spam, until a person has looked."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.samples import NOON, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.mailing import breaker, sending
from tidings.mailing.breaker import LOOK_EVERY, Gate, Meter, Standing, verdict
from tidings.mailing.sending import Breaker

HOUR = 3600
RULES = Breaker()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """One store, which all workers share."""
    one = SqliteStore(str(tmp_path / "store.db"))
    yield one
    one.close()


def became(store: SqliteStore, now: datetime, **counts: int) -> None:
    """Say what became of mails in this hour."""
    for what, number in counts.items():
        sending.count(store, "smtp", what, now, number)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({}, ""),
        ({"sent": 99, "hard_bounced": 99}, ""),  # too few to mean anything
        ({"sent": 100, "hard_bounced": 5}, ""),  # at the limit
        ({"sent": 100, "hard_bounced": 6}, "6% of 100 mails in the last 1d went to dead addresses; the limit is 5%"),
        ({"sent": 100, "complained": 2}, ""),  # two people, whatever share they are
        ({"sent": 100, "complained": 3}, "3% of 100 mails in the last 1d were called spam; the limit is 0.3%"),
        ({"sent": 1000, "complained": 3}, ""),
        ({"sent": 1000, "complained": 4}, "0.4% of 1,000 mails in the last 1d were called spam; the limit is 0.3%"),
    ],
)
def test_a_share_above_its_limit_is_a_reason_to_stop(counts: dict[str, int], why: str) -> None:
    assert verdict(RULES, counts) == why


def test_only_the_last_hours_count(store: SqliteStore) -> None:
    """Those of `over`, by the hour."""
    became(store, at(0), sent=1000, hard_bounced=900)
    assert breaker.counts(store, "smtp", RULES.over, at(23 * HOUR))["hard_bounced"] == 900
    assert breaker.counts(store, "smtp", RULES.over, at(24 * HOUR)) == {}


def test_it_stops_marketing_mail_and_says_so_once(store: SqliteStore) -> None:
    """Transactional mail goes on."""
    became(store, at(0), sent=100, hard_bounced=6)
    assert breaker.look(store, RULES, "smtp", at(60)).startswith("6% of 100 mails")
    assert breaker.look(store, RULES, "smtp", at(120)) == ""
    known = breaker.standing(store)
    assert (known.stopped, known.by, known.at) == ("marketing", "breaker", at(60))
    assert (known.holds(is_marketing=True), known.holds(is_marketing=False)) == (True, False)


def test_it_stays_stopped_however_the_shares_fall(store: SqliteStore) -> None:
    """They fall by themselves once nothing is sent."""
    became(store, at(0), sent=100, hard_bounced=6)
    breaker.look(store, RULES, "smtp", at(60))
    became(store, at(120), sent=10_000)
    breaker.look(store, RULES, "smtp", at(180))
    assert breaker.standing(store).stopped == "marketing"


def test_what_was_before_is_forgiven_when_it_is_resumed(store: SqliteStore) -> None:
    """Otherwise it would stop again within the minute, for what somebody has just looked at."""
    became(store, at(-HOUR), sent=500, hard_bounced=100)
    became(store, at(0), sent=100, hard_bounced=60)
    breaker.look(store, RULES, "smtp", at(60))
    breaker.resume(store, at(120))
    assert breaker.standing(store).stopped == "nothing"
    assert breaker.look(store, RULES, "smtp", at(180)) == ""
    became(store, at(240), sent=100, hard_bounced=5)
    assert breaker.look(store, RULES, "smtp", at(300)) == ""
    became(store, at(360), hard_bounced=1)
    assert breaker.look(store, RULES, "smtp", at(420)).startswith("6% of 100 mails")


def test_what_was_forgiven_long_ago_is_not_taken_from_what_is_counted_now(store: SqliteStore) -> None:
    """The hour in which it was resumed has left the time that is looked at."""
    became(store, at(0), sent=1000, hard_bounced=900)
    breaker.resume(store, at(60))
    later = at(30 * HOUR)
    became(store, later, sent=100, hard_bounced=6)
    assert breaker.counts(store, "smtp", RULES.over, later, breaker.standing(store)) == {"sent": 100, "hard_bounced": 6}
    assert breaker.look(store, RULES, "smtp", later).startswith("6% of 100 mails")


def test_another_providers_bounces_are_not_held_against_this_one(store: SqliteStore) -> None:
    became(store, at(0), sent=100, hard_bounced=60)
    assert breaker.look(store, RULES, "sendgrid", at(60)) == ""


def test_it_can_be_switched_off(store: SqliteStore) -> None:
    became(store, at(0), sent=100, hard_bounced=60)
    assert breaker.look(store, None, "smtp", at(60)) == ""


def test_it_does_not_undo_what_an_operator_has_said(store: SqliteStore) -> None:
    """All mail stays stopped, for the reason that they gave."""
    breaker.stop(store, "all", "operator", "the relay is being moved", at(0))
    became(store, at(0), sent=100, hard_bounced=60)
    assert breaker.look(store, RULES, "smtp", at(60)) == ""
    assert breaker.standing(store) == Standing(stopped="all", by="operator", why="the relay is being moved", at=at(0))


def test_it_does_not_undo_what_an_operator_says_while_it_counts(tmp_path: Path, store: SqliteStore) -> None:
    """A week of hours takes a while to read. Of two sweeps at the same time, one says that it has stopped."""
    became(store, at(0), sent=100, hard_bounced=60)

    class Meanwhile(SqliteStore):
        """Somebody pauses all mail while the counts are read."""

        def tallies(self, names: Sequence[str]) -> list[dict[str, int]]:
            """Be slow."""
            found = super().tallies(names)
            breaker.stop(self, "all", "operator", "the relay is being moved", at(1))
            return found

    slow = Meanwhile(str(tmp_path / "store.db"))
    assert breaker.look(slow, RULES, "smtp", at(60)) == ""
    assert breaker.standing(store).stopped == "all"
    slow.close()


def test_a_worker_asks_every_few_seconds(store: SqliteStore) -> None:
    """And not for every mail; so long it may go on after a stop."""
    gate = Gate(store)
    assert gate.holds(True, at(0)) is False
    breaker.stop(store, "all", "operator", "", at(1))
    assert gate.holds(True, at(2)) is False
    assert gate.holds(False, at(0) + LOOK_EVERY) is True


class TestMeter:
    """What becomes of mails, counted with the worker for some seconds."""

    def told(self, store: SqliteStore, now: datetime = NOON) -> Any:
        return store.tallies([sending.tally_name("smtp", now)])[0]

    def test_the_store_is_told_every_few_seconds(self, store: SqliteStore) -> None:
        meter = Meter(store, "smtp")
        for second in range(5):
            meter.count(at(second), "sent")
        meter.count(at(4.9), "sent", "hard_bounced")
        assert self.told(store) == {"sent": 1}
        meter.count(at(5), "sent")
        assert self.told(store) == {"sent": 7, "hard_bounced": 1}

    def test_each_mail_belongs_to_its_hour(self, store: SqliteStore) -> None:
        meter = Meter(store, "smtp")
        meter.count(at(0), "sent")
        meter.count(at(1), "sent")
        meter.count(at(HOUR), "sent")
        assert (self.told(store), self.told(store, at(HOUR))) == ({"sent": 2}, {"sent": 1})

    def test_nothing_is_lost_while_the_store_is_away(self, tmp_path: Path, store: SqliteStore) -> None:
        """The mail that is counted has ended, and does not come again for want of a count."""
        path = str(tmp_path / "store.db")
        other, patient = SqliteStore(path), SqliteStore(path, timeout=0.05)
        meter = Meter(patient, "smtp")
        with other.writing():
            meter.count(at(0), "sent")
        assert self.told(store) == {}
        meter.count(at(0) + timedelta(minutes=1), "sent")
        assert self.told(store) == {"sent": 2}
        other.close()
        patient.close()

    def test_it_can_be_told_to_tell(self, store: SqliteStore) -> None:
        """By the sweep, before it looks."""
        meter = Meter(store, "smtp")
        meter.count(at(0), "sent")
        meter.count(at(1), "sent")
        meter.tell(at(2))
        assert self.told(store) == {"sent": 2}
