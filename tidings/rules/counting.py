"""What is remembered of events that are only counted: the latest few times of each sort, and nothing else of them.

Whether something happened at least 3 times in the last 7 days is told by its 3 latest times. Whatever the order in
which events arrive, the same events leave the same times.
"""

import hashlib
import json

import msgspec

from tidings.rules.selectors import Selector


def signature(selector: Selector, *more: object) -> str:
    """The name under which the events of a selector are counted: ten hexadecimal characters, derived from content.

    Whoever asks for the same events shares the count, and an edit that leaves the selector alone keeps it.
    """
    where = selector.where.model_dump(mode="json", by_alias=True, exclude_unset=True) if selector.where else None
    text = json.dumps([selector.subject, where, *more], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


class Standing(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of one person to say which segments they are in.

    Attributes:
        judged_by: the version of the segments by which `PersonState.member_of` was last told; empty: tell it anew.
        counts: signature -> the latest times, in milliseconds.
        held: counts that are reached: the leaf's name -> the instant at which it is so no longer, unless more comes.
    """

    judged_by: str = ""
    counts: dict[str, list[int]] = {}
    held: dict[str, int] = {}

    def join(self, other: "Standing") -> None:
        """Take in what was remembered of the same person under another id. Membership is to be told anew."""
        for key, times in other.counts.items():
            self.counts[key] = sorted([*self.counts.get(key, ()), *times])
        for leaf, until in other.held.items():
            self.held[leaf] = max(until, self.held.get(leaf, until))
        self.judged_by = ""
