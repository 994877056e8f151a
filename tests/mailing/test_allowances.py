"""No more mails in a stretch of time than the operator allows, over all workers."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.mailing.allowances import Allowances, named_windows, windows
from tidings.mailing.sending import Sending

MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC)


def policy(**fields: Any) -> Sending:
    """A `sending.yaml` that keeps nothing for transactional mail unless it says so."""
    return Sending.model_validate({"kept_for_transactional": 0, **fields})


def a_rate(most: int, per: str = "1m", **fields: Any) -> Sending:
    """A limit on the provider alone."""
    return policy(rates=[{"provider": "smtp", "max": most, "per": per}], **fields)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """One store, which all workers share."""
    one = SqliteStore(str(tmp_path / "store.db"))
    yield one
    one.close()


class Workers:
    """So many workers who send what they are allowed to."""

    def __init__(self, store: SqliteStore, number: int = 1) -> None:
        self._each = [Allowances(store) for _ in range(number)]

    def ask(
        self, sending: Sending, now: datetime, *, domain: str = "shop.example", marketing: bool = True, worker: int = 0
    ) -> datetime | None:
        """One mail by one of them; None when it may leave."""
        return self._each[worker].take(windows(sending, "smtp", domain, marketing, now), now)

    def sent(self, sending: Sending, now: datetime, tries: int, **about: Any) -> int:
        """How many of so many tries may leave, each by the next worker."""
        answers = [self.ask(sending, now, worker=number % len(self._each), **about) for number in range(tries)]
        return answers.count(None)


def test_where_nothing_is_limited_the_store_is_not_asked(store: SqliteStore) -> None:
    assert windows(Sending(), "smtp", "gmail.com", True, at(0)) == []
    store.close()
    assert Workers(store).ask(Sending(), at(0)) is None


def test_a_rate_is_for_each_stretch_of_time(store: SqliteStore) -> None:
    """Whose turn has not come is told when the next stretch begins."""
    workers, sending = Workers(store), a_rate(10)
    minute = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
    assert workers.sent(sending, minute + timedelta(seconds=7), 15) == 10
    assert workers.ask(sending, minute + timedelta(seconds=59.9)) == minute + timedelta(minutes=1)
    assert workers.sent(sending, minute + timedelta(minutes=1), 25) == 10


def test_many_who_wait_do_not_all_ask_again_in_the_next_minute(store: SqliteStore) -> None:
    """As many are asked to come as there will be room for, and none of them more than an hour later than the first."""
    workers, sending = Workers(store), a_rate(10)
    workers.sent(sending, MIDNIGHT, 10)
    told = Counter(workers.ask(sending, MIDNIGHT) for _ in range(2000))
    soonest = MIDNIGHT + timedelta(minutes=1)
    assert [told.pop(soonest + timedelta(minutes=number)) for number in range(60)] == [10] * 60
    assert told == {soonest + timedelta(hours=1): 1400}


def test_another_provider_is_not_limited_by_it(store: SqliteStore) -> None:
    assert windows(a_rate(10), "sendgrid", "gmail.com", True, at(0)) == []


def test_a_domain_that_is_named_has_its_own_limit_and_every_other_one_that_of_the_star(store: SqliteStore) -> None:
    """However its letters are written; and each other domain for itself."""
    sending = policy(domains={"gmail.com": {"max": 3, "per": "1m"}, "*": {"max": 2, "per": "1m"}})
    workers = Workers(store)
    assert (
        workers.sent(sending, at(0), 5, domain="gmail.com") + workers.sent(sending, at(0), 5, domain="GMAIL.com") == 3
    )
    assert [workers.sent(sending, at(0), 5, domain=domain) for domain in ("a.example", "b.example")] == [2, 2]


@pytest.mark.parametrize(
    ("written", "of_address"), [("GMail.com", "gmail.com"), ("bücher.example", "xn--bcher-kva.example")]
)
def test_a_domain_may_be_written_as_people_write_it(store: SqliteStore, written: str, of_address: str) -> None:
    """An address that is mailed has its domain in ASCII."""
    sending = policy(domains={written: {"max": 2, "per": "1m"}})
    assert Workers(store).sent(sending, at(0), 9, domain=of_address) == 2


def test_several_limits_on_one_provider_all_hold(store: SqliteStore) -> None:
    """Each in its own stretch of time, and none of them is used up twice as fast for the other's sake."""
    rates = [{"provider": "smtp", "max": most, "per": per} for most, per in ((5, "1m"), (8, "1h"))]
    sending, workers = policy(rates=rates), Workers(store)
    minutes = [MIDNIGHT + timedelta(minutes=number) for number in range(3)]
    assert [workers.sent(sending, minute, 9) for minute in minutes] == [5, 3, 0]


def test_the_store_is_told_no_domain(store: SqliteStore) -> None:
    """It can be one person's own."""
    sending = policy(domains={"*": {"max": 2, "per": "1m"}})
    [window] = windows(sending, "smtp", "ada-lovelace.example", True, at(0))
    assert "ada" not in window.name


def test_a_mail_that_is_denied_one_place_takes_none(store: SqliteStore) -> None:
    """Otherwise a full domain would use up the provider's rate for everybody."""
    sending = a_rate(10, domains={"gmail.com": {"max": 1, "per": "1m"}})
    workers = Workers(store)
    assert workers.sent(sending, at(0), 30, domain="gmail.com") == 1
    assert workers.sent(sending, at(0), 30) == 9


def test_marketing_mail_leaves_a_share_to_transactional_mail(store: SqliteStore) -> None:
    """Which may use all there is."""
    sending, workers = a_rate(10, kept_for_transactional=20), Workers(store)
    assert workers.sent(sending, at(0), 30) == 8
    assert workers.sent(sending, at(0), 30, marketing=False) == 2


def test_what_transactional_mail_has_used_is_gone_for_marketing_mail(store: SqliteStore) -> None:
    sending, workers = a_rate(10, kept_for_transactional=20), Workers(store)
    assert workers.sent(sending, at(0), 5, marketing=False) == 5
    assert workers.sent(sending, at(0), 30) == 3


def test_however_small_a_rate_is_marketing_mail_has_one(store: SqliteStore) -> None:
    """A share of nothing would hold it up for ever."""
    assert Workers(store).sent(a_rate(1, kept_for_transactional=90), at(0), 5) == 1


def test_what_has_a_name_can_be_looked_up_with_what_is_taken_of_it(store: SqliteStore) -> None:
    """Each limit once; other domains are too many, and nobody's business."""
    sending = a_rate(10, domains={"gmail.com": {"max": 5, "per": "1h"}, "*": {"max": 2, "per": "1m"}})
    workers = Workers(store)
    workers.sent(sending, MIDNIGHT, 3, domain="gmail.com")
    named = named_windows(sending, "smtp", MIDNIGHT)
    assert [window.label for window in named] == ["smtp: 10 per 1m", "gmail.com: 5 per 1h"]
    assert [counts["taken"] for counts in store.tallies([window.name for window in named])] == [3, 3]
    only_others = policy(domains={"*": {"max": 2, "per": "1m"}})
    assert named_windows(only_others, "smtp", MIDNIGHT) == []


class TestWarmUp:
    """Little mail on the first days."""

    SENDING = policy(warm_up={"from": "2026-12-01", "days": [2, 4]})

    @pytest.mark.parametrize(("days", "mails"), [(-30, 2), (0, 2), (1, 4), (2, 50), (400, 50)])
    def test_each_day_has_its_number_and_after_the_last_there_is_none(
        self, store: SqliteStore, days: int, mails: int
    ) -> None:
        assert Workers(store).sent(self.SENDING, MIDNIGHT + timedelta(days=days, hours=7), 50) == mails

    def test_the_rest_waits_for_the_next_day_in_utc(self, store: SqliteStore) -> None:
        workers, evening = Workers(store), MIDNIGHT + timedelta(hours=23)
        workers.sent(self.SENDING, evening, 2)
        assert workers.ask(self.SENDING, evening) == MIDNIGHT + timedelta(days=1)

    def test_transactional_mail_is_counted_and_never_held_up(self, store: SqliteStore) -> None:
        """Who asks for a new password on the second day does not wait for the third."""
        workers = Workers(store)
        assert workers.sent(self.SENDING, MIDNIGHT, 50, marketing=False) == 50
        assert workers.sent(self.SENDING, MIDNIGHT, 50) == 0


@given(
    most=st.integers(1, 300),
    per=st.sampled_from(["10s", "1m", "1h", "1d"]),
    kept=st.integers(0, 90),
    asks=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 40)), max_size=30),
)
def test_many_workers_together_never_pass_a_limit(
    most: int, per: str, kept: int, asks: list[tuple[int, bool, int]]
) -> None:
    """Whoever asks, in whatever order, within one window; and marketing mail never takes of what is kept."""
    sending, store = a_rate(most, per, kept_for_transactional=kept), SqliteStore(":memory:")
    workers = Workers(store, 4)
    sent = {True: 0, False: 0}
    for worker, marketing, times in asks:
        for _ in range(times):
            if workers.ask(sending, MIDNIGHT, marketing=marketing, worker=worker) is None:
                sent[marketing] += 1
    store.close()
    assert sent[True] + sent[False] <= most
    assert sent[True] <= max(most * (100 - kept) // 100, 1)


def test_under_pressure_the_whole_limit_is_used(store: SqliteStore) -> None:
    """Nothing lies idle with a worker while every worker has mail."""
    assert Workers(store, 4).sent(a_rate(1000), MIDNIGHT, 4000) == 1000


class CountingStore(SqliteStore):
    """Counts how often it is asked."""

    asked = 0

    def take(self, name: str, amount: int, limit: int, expires_at: datetime) -> int:
        """Ask."""
        self.asked += 1
        return super().take(name, amount, limit, expires_at)


def test_the_store_is_asked_for_blocks_and_not_for_mails(tmp_path: Path) -> None:
    """At most once in two seconds of the window, and once more when there is no more; then not again."""
    store = CountingStore(str(tmp_path / "store.db"))
    assert Workers(store).sent(a_rate(6000), MIDNIGHT, 20_000) == 6000
    assert store.asked <= 31
    store.close()
