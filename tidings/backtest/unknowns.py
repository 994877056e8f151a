"""What a backtest cannot know, said instead of guessed; and what looks wrong about the question."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from tidings import durations
from tidings.backtest.findings import Findings
from tidings.backtest.question import Question
from tidings.documents import nearest
from tidings.history.gather import MOST_NAMES, Gathered
from tidings.rules.conditions import paths_of


def sentences(question: Question, found: Findings, past: Gathered, until: datetime) -> Iterator[str]:
    """Everything that stays open, each with the figures that there are."""
    rule, mailed = question.rule, found.mailed.firings
    assert past.oldest is not None
    yield (
        f"What anybody did before {past.oldest:%Y-%m-%d %H:%M} UTC: these events begin there. "
        "A rule that looks further back sees less than it would have seen live."
    )
    if mailed and rule.sends[0].to == "person":
        missing = mailed - found.known.address
        yield (
            f"Who could be reached: the events name an address for {found.known.address:,} of {mailed:,} first mails; "
            f"of {missing:,} it may be known elsewhere. Suppressed addresses are not known here at all."
        )
    if mailed and rule.kind == "marketing":
        silent = mailed - found.known.consent - found.known.refusal
        yield (
            f"Who had agreed: by these events {found.known.consent:,} had, {found.known.refusal:,} had refused, and of "
            f"{silent:,} nothing is known. All are counted as mails here; the mailer asks again before each one."
        )
    if rule.audience and (asked := sorted({path.removeprefix("traits.") for path in paths_of(rule.audience)})):
        yield (
            f"What traits people had: the audience asks about {', '.join(asked)}; in {found.known.untraited:,} cases "
            "no event had said so by then, and a trait that was set elsewhere counts as missing."
        )
    open_ends = found.mailed.open + found.stopped.open
    if open_ends:
        yield (
            f"How it ended for {open_ends:,} firings: the events end at {until:%Y-%m-%d %H:%M} UTC, before their "
            f"{durations.text(question.within)} were over. They count neither as reached nor as missed."
        )
    yield (
        "What a mail would have changed: people are seen as they were without it, or with whatever they got then. "
        "Only a holdout can tell (holdout: 10 in the rule)."
    )


def unheard(names: Iterable[tuple[str, str]], past: Gathered) -> list[tuple[str, str]]:
    """Which of these names (type and name) nobody has ever sent, as far as all names were counted."""
    return sorted({one for one in names if one not in past.names}) if len(past.names) < MOST_NAMES else []


def warnings(question: Question, found: Findings, past: Gathered) -> Iterator[str]:
    """What looks wrong: names that nobody has ever sent, and events that the rule could not read."""
    known = {name for _, name in past.names}
    for kind, name in unheard({*question.names, ("track", question.goal)}, past):
        meant = nearest(name, known)
        what = "event" if kind == "track" else kind
        yield f"No {what} called {name} is among these events{meant and f'; {meant}'}"
    for detail, count in sorted(found.mismatches.items()):
        yield f"{count:,} events could not be read by the rule: {detail}"
    if past.broken:
        yield f"{past.broken:,} lines are no events and were left out"
