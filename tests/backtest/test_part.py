"""What is counted of one person, beside a recount by hand, and where `since` cuts through what belongs together."""

from collections import Counter, defaultdict
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drawn import MINUTE, START, histories, rule_books, rules
from tests.people import a_rule, an_event, at, ms
from tidings.backtest.part import Backtest
from tidings.backtest.question import Question
from tidings.deciding.engine import Engine
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import load
from tidings.rules.segments import load as load_segment
from tidings.wire.events import instant, millis

ZONE = ZoneInfo("Europe/Oslo")
DAY = 24 * 60 * MINUTE
NOBODY = {"user_id": None, "anonymous_id": "x"}
SEGMENTS = {
    name: load_segment({"where": where}, name)
    for name, where in {
        "viewers": {"performed": {"event": "View", "times": 2, "within": "1h"}},
        "strangers": {"not": {"path": "traits.plan", "exists": True}},
    }.items()
}


def asked(document, beside=(), since=None, within=DAY):
    known = {one["id"]: load(one) for one in beside}
    return Question(load(document), RuleSet(known, SEGMENTS), "Order", within, since, ZONE)


def found(folder, question, people, until):
    part = Backtest(question, until, folder)(0)
    for person, history in people.items():
        part.person(person, history)
    return part.finish()


def of_ann(folder, document, events, beside=(), since=None):
    """What is found of one person, until three days later."""
    beside = [a_rule(**one) for one in beside]
    question = asked(a_rule(**document), beside, at(since) if since else None)
    return found(folder, question, {"u:ann": events}, ms("+3d 00:00"))


ON_X = {"id": "c", "trigger": {"performed": {"event": "X"}}}
TWO_MAILS = {**ON_X, "frequency_cap": "off", "steps": [{"send": "one"}, {"wait": "2h"}, {"send": "two"}]}


def test_a_firing_before_the_time_that_is_told_is_not_counted_by_its_second_mail(tmp_path):
    """Its first mail went before, so that nobody may say that the order came before the first."""
    events = [an_event("X", "10:00"), an_event("Order", "11:00")]
    told = of_ann(tmp_path, TWO_MAILS, events, since="11:30")
    assert told.endings == {(1, "two", "send"): 1}
    assert (told.mailed.firings, told.stopped.firings, told.people) == (0, 0, 0)
    told = of_ann(tmp_path, TWO_MAILS, events, since="09:00")
    assert (told.mailed.firings, told.mailed.before, told.mailed.after, told.people) == (1, 0, 1, 1)


def test_a_cap_that_was_used_up_before_the_time_that_is_told_has_its_name(tmp_path):
    other = {"id": "o", "trigger": {"performed": {"event": "Y"}}}
    events = [an_event("Y", "10:00"), an_event("X", "11:00")]
    told = of_ann(tmp_path, ON_X, events, [other], since="10:30")
    assert told.capped_by == {"o": 1}


def test_once_for_each_of_two_ids_that_join_later_is_twice(tmp_path):
    rule = {**ON_X, "re_entry": "once", "frequency_cap": "off"}
    joins = an_event("", "12:00", type="identify", user_id="ann", anonymous_id="x")
    told = of_ann(tmp_path, rule, [an_event("X", "10:00", **NOBODY), an_event("X", "11:00"), joins])
    assert (told.mailed.firings, told.people) == (2, 1)


def test_a_firing_that_goes_on_under_another_id_is_one(tmp_path):
    joins = an_event("", "11:00", type="identify", user_id="ann", anonymous_id="x")
    told = of_ann(tmp_path, TWO_MAILS, [an_event("X", "10:00", **NOBODY), joins])
    assert told.endings == {(0, "one", "send"): 1, (1, "two", "send"): 1}
    assert told.mailed.firings == 1


def test_traits_and_consent_count_from_the_receipt_of_what_said_so(tmp_path):
    said = [
        an_event("", "09:00", "10:30", type="identify", traits={"email": "ann@example.com"}),
        an_event("Consent Given", "09:00", "12:30"),
    ]
    rule = {**ON_X, "frequency_cap": "off"}
    known = of_ann(tmp_path, rule, [*said, *(an_event("X", when) for when in ("10:00", "12:00", "13:00"))]).known
    assert (known.address, known.consent) == (2, 1)


def test_what_a_machine_has_said_is_not_read_again_for_each_of_a_thousand_firings(tmp_path, monkeypatch):
    joined = []
    monkeypatch.setattr("tidings.records.profiles.join", lambda one, other: joined.append(1) or other)
    events = [an_event("X", at("10:00") + timedelta(minutes=number)) for number in range(300)]
    events += [an_event("", one.timestamp, type="identify", traits={"n": 1}) for one in events]
    assert of_ann(tmp_path, {**ON_X, "frequency_cap": "off"}, events).mailed.firings == 300
    assert len(joined) < 300


@st.composite
def candidates(draw):
    """A rule that may be about segments, of an id that a rule beside it has or not."""
    document = draw(rules(draw(st.sampled_from(["rule-0", "candidate"]))))
    segment = draw(st.sampled_from(sorted(SEGMENTS)))
    match draw(st.integers(0, 3)):
        case 0:
            document["trigger"] = {"segment": {"id": segment, "on": draw(st.sampled_from(["enter", "leave"]))}}
        case 1:
            document["audience"] = draw(st.sampled_from([{"segment": segment}, {"not": {"segment": segment}}]))
    return document


@pytest.mark.parametrize("since", [None, START + timedelta(hours=2)])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(candidates(), rule_books(), histories(), st.integers(0, 2000))
def test_everything_adds_up_to_what_replays_with_and_without_the_rule_decide(
    tmp_path, since, document, beside, events, minutes
):
    until = millis(START) + minutes * MINUTE
    question = asked(document, beside, since, within=2 * 60 * MINUTE)
    people = resolve([one for one in events if millis(one.received_at) < until])
    told = found(tmp_path, question, people, until)

    before, after = Engine(question.before.book()), Engine(question.after.book())
    counts, endings, lost, won = Counter(), Counter(), Counter(), Counter()
    for person, history in people.items():
        old, new = (replay(engine, person, history, until) for engine in (before, after))
        its = [one for one in new.decisions if one.rule_id == question.rule.id]
        counts["outside"] += sum(one.rule_id == question.rule.id and is_told(one, since) for one in new.outside)
        endings.update((one.step, one.template, one.reason or one.outcome) for one in its if is_told(one, since))
        counts["old"] += sum(one.rule_id == question.rule.id and is_told(one, since) for one in old.decisions)
        sent = [others_mails(one.decisions, question, since) for one in (old, new)]
        lost.update(sent[0][name] for name in sent[0].keys() - sent[1].keys())
        won.update(sent[1][name] for name in sent[1].keys() - sent[0].keys())
        firings = list(firings_of(its, since))
        counts["people"] += bool(firings)
        counts.update(what_came_of(run, history, until) for run in firings)
    assert told.endings == endings
    assert (told.lost, told.won) == (lost, won)
    assert (told.outside, told.people) == (counts["outside"], counts["people"])
    difference = told.difference
    if question.current:
        kept = difference.same + difference.moved + difference.changed
        assert kept + difference.added == sum(endings.values())
        assert kept + difference.removed == counts["old"]
    for with_mail, goals in ((True, told.mailed), (False, told.stopped)):
        figures = {"before": goals.before, "after": goals.after, "missed": goals.ceiling, "open": goals.open}
        assert figures == {name: counts[with_mail, name] for name in figures}


def is_told(one, since):
    return since is None or one.decided_at >= since


def others_mails(all_of_them, question, since):
    sent = [one for one in all_of_them if one.outcome == "send" and is_told(one, since)]
    return {one.send_id: one.rule_id for one in sent if one.rule_id != question.rule.id}


def firings_of(its, since):
    runs = defaultdict(list)
    for one in its:
        runs[one.entry_key, one.episode, one.due_at].append(one)
    return (run for run in runs.values() if is_told(run[0], since))


def what_came_of(run, history, until):
    fired = run[0].due_at
    ends = fired + timedelta(hours=2)
    orders = [one.timestamp for one in history if one.event == "Order" and fired < one.timestamp <= ends]
    mails = [one for one in run if one.outcome == "send"]
    if not orders:
        return bool(mails), "open" if ends > instant(until) else "missed"
    return bool(mails), "before" if min(orders) <= (mails or run)[0].decided_at else "after"
