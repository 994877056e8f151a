from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidings.backtest import axes

WIDTHS = st.sampled_from([axes.WIDE, axes.NARROW])


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(1, 420), st.sampled_from([1, 7, 14]), WIDTHS)
def test_days_always_have_dates_that_do_not_touch(first, count, step, width):
    ticks = axes.days([first + timedelta(days=step * number) for number in range(count)], width)

    assert ticks
    assert axes.fits(ticks, width)


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(1, 3), WIDTHS)
def test_hours_always_have_times_that_do_not_touch(first, days, width):
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    ticks = axes.hours([midnight + timedelta(hours=number) for number in range(24 * days)], width)

    assert ticks
    assert axes.fits(ticks, width)
    assert ticks[0].label.startswith(f"{midnight:%a} ")


@given(st.integers(0, 10**9))
def test_counts_are_few_round_and_reach_the_most(most):
    ticks = axes.counts(most)

    assert ticks[0].at == 0
    assert ticks[-2].at < max(most, 1) <= ticks[-1].at
    assert 2 <= len(ticks) <= 5
    assert all(tick.label == f"{tick.at:,.0f}" for tick in ticks)


def test_a_month_is_told_by_its_mondays_and_a_year_by_its_months():
    month = [date(2026, 5, 1) + timedelta(days=number) for number in range(30)]
    year = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]

    assert [one.label for one in axes.days(month, axes.NARROW)] == ["4 May", "11 May", "18 May", "25 May"]
    assert [one.label for one in axes.days(year, axes.NARROW)] == ["Jan 2026", "Apr", "Jul", "Oct"]
