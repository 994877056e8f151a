"""What a preference centre offers, and what ticking and saving means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.samples import at
from tidings.permission import choices
from tidings.permission.categories import Categories, Category, Wording
from tidings.permission.choices import Choice
from tidings.permission.consent import MARKETING, SALE_AND_SHARING, TRACKING, permission
from tidings.records.store import ConsentAction, ConsentRecord

OFFERS = Category(
    id="offers", name="Offers", description="Sales and codes.", languages={"de": Wording(name="Angebote")}
)
NEWSLETTER = Category(id="newsletter", double_opt_in=True, languages={"pt-BR": Wording(name="Boletim")})
KNOWN = Categories({one.id: one for one in (OFFERS, NEWSLETTER)})


def said(*words: tuple[str, ConsentAction]) -> list[ConsentRecord]:
    """Words on categories, one a second."""
    return [
        ConsentRecord(
            record_id=str(second), person="u:1", category=category, action=action, at=at(second), source="event"
        )
        for second, (category, action) in enumerate(words)
    ]


def ticked(*words: tuple[str, ConsentAction]) -> dict[str, bool | str]:
    """What the boxes show."""
    kinds = choices.kinds_of_mail(KNOWN, said(*words), [])
    return {one.category: "pending" if one.pending else one.on for one in kinds}


def test_without_a_word_nothing_is_ticked() -> None:
    """Nobody has agreed to anything by opening a page."""
    assert ticked() == {"offers": False, "newsletter": False, MARKETING: False}


def test_a_general_yes_ticks_every_kind_but_those_that_are_confirmed_by_mail() -> None:
    """As the mailer would decide."""
    assert ticked((MARKETING, "given")) == {"offers": True, "newsletter": False, MARKETING: True}


def test_a_general_no_is_shown_as_all_off_whatever_was_said_before() -> None:
    """And what is said after it is on alone."""
    stopped = (("offers", "given"), (MARKETING, "given"), (MARKETING, "withdrawn"))
    assert ticked(*stopped) == {"offers": False, "newsletter": False, MARKETING: False}
    assert ticked(*stopped, ("offers", "given")) == {"offers": True, "newsletter": False, MARKETING: False}


def test_a_yes_that_waits_for_its_confirmation_is_ticked_and_says_so() -> None:
    """Until the mailbox itself has spoken."""
    assert ticked(("newsletter", "given"))["newsletter"] == "pending"
    assert ticked(("newsletter", "given"), ("newsletter", "confirmed"))["newsletter"] is True
    again = (("newsletter", "given"), ("newsletter", "confirmed"), ("newsletter", "withdrawn"), ("newsletter", "given"))
    assert ticked(*again)["newsletter"] == "pending"


def test_what_somebody_has_spoken_of_is_offered_and_what_is_no_mail_is_not() -> None:
    """A kind that no file describes can be left all the same, whatever it is called."""
    shown = ticked(("Odd / <kind>!", "given"), (SALE_AND_SHARING, "withdrawn"), (TRACKING, "withdrawn"))
    assert list(shown) == ["offers", "newsletter", "Odd / <kind>!", MARKETING]


def test_seeing_opens_and_clicks_is_on_until_somebody_says_no() -> None:
    """Nobody need agree to it, and who says no is not watched."""
    assert choices.watching([]).on
    assert not choices.watching(said((TRACKING, "withdrawn"))).on
    assert choices.watching(said((TRACKING, "withdrawn"), (TRACKING, "given"))).on


@pytest.mark.parametrize(
    ("wanted", "language", "name"),
    [
        ([], "en", "Offers"),
        (["de"], "de", "Angebote"),
        (["de-AT"], "de", "Angebote"),
        (["DE_at"], "de", "Angebote"),
        (["fr"], "en", "Offers"),
        (["fr", "de", "en"], "de", "Angebote"),
        (["en-GB", "de"], "en", "Offers"),
        (["pt"], "en", "Offers"),
    ],
)
def test_a_kind_is_named_in_the_first_language_that_there_is(wanted: list[str], language: str, name: str) -> None:
    """What somebody reads best, if it was written."""
    found = choices.worded(OFFERS, wanted)
    assert found[:2] == (language, name)


def test_a_region_is_found_by_its_own_name_alone() -> None:
    """Who reads European Portuguese has not asked for the Brazilian one."""
    assert choices.worded(NEWSLETTER, ["pt-br"])[:2] == ("pt-BR", "Boletim")
    assert choices.worded(NEWSLETTER, ["pt-PT"])[:2] == ("en", "Newsletter")


def test_the_words_of_a_record_are_those_that_were_read() -> None:
    """Name, description, what is said to happen, the tick and the button."""
    offers, newsletter, *_ = choices.kinds_of_mail(KNOWN, [], ["de"])
    assert offers.words(True) == "[x] Angebote. [Save my choices]"
    assert newsletter.words(False).startswith("[ ] Newsletter. We send you a mail first")


def test_other_words_are_another_edition() -> None:
    """The same words give the same one, whoever sees them."""
    english, german = (choices.version(choices.kinds_of_mail(KNOWN, [], [wanted])) for wanted in ("en", "de"))
    assert english != german
    assert english == choices.version(choices.kinds_of_mail(KNOWN, said((MARKETING, "given")), ["en"]))


CATEGORIES = ("offers", "newsletter", "cart")
WORDS = st.tuples(st.sampled_from([*CATEGORIES, MARKETING]), st.sampled_from(["given", "withdrawn"]))


@given(history=st.lists(WORDS, max_size=6), wanted=st.sets(st.sampled_from([*CATEGORIES, MARKETING])))
def test_what_is_saved_is_what_is_then_sent(history: list[tuple[str, ConsentAction]], wanted: set[str]) -> None:
    """From any past to any set of ticks: the next page shows the ticks as they were saved, and mail goes by them."""
    known = Categories({name: Category(id=name) for name in CATEGORIES})
    records = said(*history)
    before = choices.kinds_of_mail(known, records, [])
    asked = choices.meant({one.category: one.on for one in before}, wanted)
    actions: dict[bool, ConsentAction] = {True: "given", False: "withdrawn"}
    later = [
        ConsentRecord(
            record_id=f"l{n}", person="u:1", category=kind, action=actions[yes], at=at(100 + n), source="page"
        )
        for n, (kind, yes) in enumerate(asked)
    ]
    after = choices.kinds_of_mail(known, [*records, *later], [])
    assert {one.category for one in after if one.on} == wanted
    for kind in (*CATEGORIES, "begun later"):
        may = permission("marketing", kind, [*records, *later]) is None
        assert may is (kind in wanted if kind in CATEGORIES else MARKETING in wanted)


@given(
    wanted=st.sets(st.sampled_from([*CATEGORIES, MARKETING])), ticks=st.sets(st.sampled_from([*CATEGORIES, MARKETING]))
)
def test_nothing_is_said_that_was_not_changed(wanted: set[str], ticks: set[str]) -> None:
    """Saving a page as it was shown says nothing; and without the box for all, only what was changed is said."""
    was = {kind: kind in ticks for kind in (*CATEGORIES, MARKETING)}
    asked = choices.meant(was, wanted)
    if wanted == ticks:
        assert asked == []
    if (MARKETING in wanted) == (MARKETING in ticks):
        assert dict(asked) == {kind: kind in wanted for kind in wanted ^ ticks}


def test_a_box_is_plain_data() -> None:
    """Its id in the page does not depend on what a category is called."""
    boxes = choices.kinds_of_mail(KNOWN, said(("a b", "given"), ("a-b", "given")), [])
    assert len({one.html_id for one in boxes}) == len(boxes)
    assert all(isinstance(one, Choice) and one.html_id.replace("-", "").isalnum() for one in boxes)
