"""No consent, no marketing mail."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import at
from tidings.permission.consent import SALE_AND_SHARING, permission
from tidings.records.store import ConsentAction, ConsentRecord


def record(category: str, given: bool, seconds: float) -> ConsentRecord:
    name = f"{category}-{given}-{seconds}"
    return ConsentRecord(
        record_id=name,
        person="u:1",
        category=category,
        action="given" if given else "withdrawn",
        at=at(seconds),
        source="event",
    )


YES, NO = True, False
MARKETING, NEWS, OTHER = "marketing", "news", "other"


class TestPermission:
    """May this person get this mail?"""

    @pytest.mark.parametrize(
        ("history", "answer"),
        [
            ([], "no_consent"),
            ([(MARKETING, YES)], None),
            ([(NEWS, YES)], None),
            ([(OTHER, YES)], "no_consent"),
            ([(MARKETING, NO)], "opted_out"),
            ([(NEWS, NO)], "opted_out"),
            ([(OTHER, NO)], "no_consent"),
            ([(MARKETING, YES), (MARKETING, NO)], "opted_out"),
            ([(MARKETING, NO), (MARKETING, YES)], None),
            ([(MARKETING, YES), (NEWS, NO)], "opted_out"),
            ([(NEWS, NO), (MARKETING, YES)], "opted_out"),
            ([(NEWS, NO), (MARKETING, YES), (NEWS, YES)], None),
            ([(NEWS, YES), (MARKETING, NO)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES)], None),
            ([(MARKETING, NO), (OTHER, YES)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES), (MARKETING, NO)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES), (NEWS, NO)], "opted_out"),
            ([(MARKETING, NO), (NEWS, YES), (MARKETING, YES)], None),
            ([(MARKETING, YES), (OTHER, NO)], None),
            ([(NEWS, YES), (OTHER, NO)], None),
        ],
    )
    def test_the_latest_word_counts(self, history: list[tuple[str, bool]], answer: str | None) -> None:
        """In whatever order the records are handed in."""
        records = [record(category, given, number) for number, (category, given) in enumerate(history)]
        for order in itertools.permutations(records):
            assert permission("marketing", NEWS, order) == answer

    @pytest.mark.parametrize("category", [MARKETING, NEWS])
    def test_at_the_same_instant_no_wins(self, category: str) -> None:
        """In doubt we do not write."""
        records = [record(category, YES, 1), record(category, NO, 1)]
        assert permission("marketing", NEWS, records) == "opted_out"
        assert permission("marketing", NEWS, records[::-1]) == "opted_out"

    def test_a_yes_to_one_category_does_not_undo_a_general_no_of_the_same_instant(self) -> None:
        """It must come after it."""
        assert permission("marketing", NEWS, [record(NEWS, YES, 1), record(MARKETING, NO, 1)]) == "opted_out"

    def test_transactional_mail_needs_no_consent(self) -> None:
        """A receipt goes to those who opted out, too."""
        assert permission("transactional", NEWS, []) is None
        assert permission("transactional", NEWS, [record(MARKETING, NO, 1), record(NEWS, NO, 2)]) is None

    @pytest.mark.parametrize("category", ["", MARKETING])
    def test_mail_without_a_category_goes_by_the_general_word(self, category: str) -> None:
        """Consent to one category is no consent to everything."""
        assert permission("marketing", category, [record(MARKETING, YES, 1), record(NEWS, NO, 2)]) is None
        assert permission("marketing", category, [record(NEWS, YES, 1)]) == "no_consent"

    @given(st.lists(st.builds(record, st.sampled_from([MARKETING, NEWS, OTHER]), st.booleans(), st.integers(0, 3))))
    def test_one_more_no_never_allows_more(self, records: list[ConsentRecord]) -> None:
        """Withdrawing, at any time, of anything, cannot open a door."""
        if permission("marketing", NEWS, records) is not None:
            for category in (MARKETING, NEWS, OTHER):
                more = [*records, record(category, NO, 2)]
                assert permission("marketing", NEWS, more) is not None


def said(action: ConsentAction, seconds: float, category: str = NEWS, **fields: Any) -> ConsentRecord:
    at_ = at(seconds)
    name = f"{category}-{action}-{seconds}"
    return ConsentRecord(
        record_id=name, person="u:1", category=category, action=action, at=at_, source="event", **fields
    )


class TestDoubleOptIn:
    """Where a category asks for it, only what was confirmed from the mailbox itself counts."""

    @pytest.mark.parametrize(
        ("history", "answer"),
        [
            ([], "no_consent"),
            ([("given", NEWS)], "no_consent"),
            ([("given", MARKETING)], "no_consent"),
            ([("confirmed", NEWS)], None),
            ([("given", NEWS), ("confirmed", NEWS)], None),
            ([("confirmed", NEWS), ("given", NEWS)], None),
            ([("confirmed", MARKETING)], "no_consent"),
            ([("given", NEWS), ("confirmed", OTHER)], "no_consent"),
            ([("confirmed", NEWS), ("withdrawn", NEWS)], "opted_out"),
            ([("confirmed", NEWS), ("withdrawn", MARKETING)], "opted_out"),
            ([("confirmed", NEWS), ("withdrawn", OTHER)], None),
            ([("confirmed", NEWS), ("withdrawn", NEWS), ("given", NEWS)], "no_consent"),
            ([("confirmed", NEWS), ("withdrawn", MARKETING), ("given", NEWS)], "no_consent"),
            ([("confirmed", NEWS), ("withdrawn", NEWS), ("given", NEWS), ("confirmed", NEWS)], None),
            ([("withdrawn", MARKETING), ("confirmed", NEWS)], None),
        ],
    )
    def test_only_a_confirmation_that_no_later_no_overturned_lets_mail_out(
        self, history: list[tuple[ConsentAction, str]], answer: str | None
    ) -> None:
        """In whatever order the records are handed in."""
        records = [said(action, number, category) for number, (action, category) in enumerate(history)]
        for order in itertools.permutations(records):
            assert permission("marketing", NEWS, order, double_opt_in=True) == answer

    def test_at_the_same_instant_no_wins(self) -> None:
        """As everywhere."""
        assert permission("marketing", NEWS, [said("confirmed", 1), said("withdrawn", 1)], double_opt_in=True)
        words = [said("confirmed", 1), said("withdrawn", 1), said("given", 2)]
        assert permission("marketing", NEWS, words, double_opt_in=True) == "no_consent"

    def test_transactional_mail_asks_nobody(self) -> None:
        """The mail that asks for the confirmation is one."""
        assert permission("transactional", NEWS, [], double_opt_in=True) is None

    @given(
        st.lists(
            st.builds(
                said,
                st.sampled_from(["given", "confirmed", "withdrawn"]),
                st.integers(0, 4),
                st.sampled_from([MARKETING, NEWS, OTHER]),
            )
        )
    )
    def test_it_never_allows_what_a_single_word_would_not(self, records: list[ConsentRecord]) -> None:
        """It only asks for more, and calls it by the same name."""
        once, twice = (permission("marketing", NEWS, records, double_opt_in=asked) for asked in (False, True))
        assert twice == once or (once is None and twice == "no_consent")


class TestChannels:
    """What is said of text messages is kept, and is no word on mail."""

    def test_another_channel_neither_allows_nor_forbids_mail(self) -> None:
        """Nor confirms it."""
        sms = {"channel": "sms"}
        assert permission("marketing", NEWS, [said("given", 1, **sms)]) == "no_consent"
        assert permission("marketing", NEWS, [said("given", 1), said("withdrawn", 2, **sms)]) is None
        words = [said("given", 1), said("confirmed", 2, **sms)]
        assert permission("marketing", NEWS, words, double_opt_in=True) == "no_consent"
        words = [said("confirmed", 1), said("withdrawn", 2, MARKETING, **sms)]
        assert permission("marketing", NEWS, words, double_opt_in=True) is None

    def test_the_objection_to_sale_and_sharing_says_nothing_about_mail(self) -> None:
        """`Sec-GPC: 1` is no unsubscribe."""
        assert permission("marketing", NEWS, [said("given", 1), said("withdrawn", 2, SALE_AND_SHARING)]) is None
        assert permission("marketing", NEWS, [said("withdrawn", 2, SALE_AND_SHARING)]) == "no_consent"
