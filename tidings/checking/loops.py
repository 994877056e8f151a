"""Rules that begin each other with reports about their mail, and so would write to a person for ever.

Rules and the reports by which mail of one begins another (`causes`) make a graph, and this finds its cycles. A trigger
that needs several things (the steps of a sequence) goes on only when mail alone brings about each of them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from tidings.checking.causes import CLICKED, Fed, Link, fed
from tidings.checking.findings import Remark, Severity
from tidings.rules.rule import Rule
from tidings.rules.surroundings import DEFAULT_CAP

SLOW = DEFAULT_CAP.per // DEFAULT_CAP.max
"""Milliseconds from one mail to the next that nobody calls too fast: as the default frequency cap has it."""

_KINDS: Sequence[tuple[Severity, str, Callable[[Link], bool]]] = (
    ("error", "; nothing slows it down", lambda one: one.event != CLICKED and one.pace < SLOW and one.is_certain),
    ("warning", "", lambda one: one.event != CLICKED),
    ("warning", ", as long as somebody clicks", lambda one: one.pace < SLOW),
)
"""How bad a cycle is, by the worst links that it can be made of. Who clicks can stop, so a slow one does no harm."""


def remarks(rules: Iterable[Rule]) -> dict[str, Remark]:
    """By the id of each rule that can go on for ever, alone or with others: the shortest way round, rule by rule.

    Every rule counts as live, for that is what it is meant to become; only one that is compared with another never is.
    """
    everything = fed([one for one in rules if one.shadow_of is None])
    found: dict[str, Remark] = {}
    for severity, manner, fits in _KINDS:
        links = _going_on(everything, fits)
        for name in links.keys() - found.keys():
            if way := _round(name, links):
                steps = " and ".join(f"{one.event} of {one.source} begins {one.target}" for one in way)
                reason = f"this can go on for ever: {steps}{manner}"
                found[name] = Remark(way[-1].path, way[-1].event, reason, severity)
    return found


def _going_on(everything: Fed, fits: Callable[[Link], bool]) -> dict[str, list[Link]]:
    """The rules for which mail of each other brings about all that they need, and the links by which it does."""
    alive = set(everything)
    while True:
        kept = {
            name: [[one for one in group if one.source in alive and fits(one)] for group in everything[name]]
            for name in alive
        }
        still = {name for name, groups in kept.items() if groups and all(groups)}
        if still == alive:
            return {name: [one for group in groups for one in group] for name, groups in kept.items()}
        alive = still


def _round(name: str, links: Mapping[str, Sequence[Link]]) -> list[Link]:
    """The fewest links that lead from a rule to itself; none when it is fed by others that go round, and feeds none."""
    ways, seen = deque([one] for one in links[name]), set[str]()
    while ways:
        way = ways.popleft()
        source = way[0].source
        if source == name:
            return way
        if source not in seen:
            seen.add(source)
            ways.extend([one, *way] for one in links[source])
    return []
