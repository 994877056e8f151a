"""Whose turn it is: no more mails in a stretch of time than the operator's `sending.yaml` allows, over all workers.

Time is cut into fixed windows, and each window of each limit has one allowance in the store. A worker takes a small
block of it ahead, so that the store is not asked for every mail; what is left of a block when its window ends is lost.
So a limit may not be used up, and is never passed.

Who is refused is told a window in which there may be room, and not only the next one: were everybody to ask again every
minute, ten thousand mails through a limit of a hundred would ask half a million times.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from tidings import durations
from tidings.mailing.sending import DAY, SECOND, Rate, Sending
from tidings.records.store import Store

_UNLIMITED = 2**53
_TURNS = (5, 50)
"""Into so many blocks, at least and at most, a window is cut: one for every two seconds of it."""

_FARTHEST = timedelta(hours=1)
"""So much later than the next window at most: the limit may be edited, and who is before us may not come at all."""


class Window(NamedTuple):
    """One limit in one stretch of time, as it is for one kind of mail.

    Attributes:
        name: of the allowance in the store, whose tally says how many are taken.
        label: the limit, as the operator knows it.
        limit: so many mails may have left altogether for one more of this kind to leave.
        block: how many a worker takes at once.
        ends: when the next one begins.
        length: of it, and of the next one.
        is_plan: it is a day of the warm-up plan.
    """

    name: str
    label: str
    limit: int
    block: int
    ends: datetime
    length: timedelta
    is_plan: bool = False


def windows(sending: Sending, provider: str, domain: str, is_marketing: bool, now: datetime) -> list[Window]:
    """What a mail must have a place in before it may leave; nothing where nothing is limited.

    Transactional mail has the whole of each rate, and marketing mail what `kept_for_transactional` leaves of it (one
    mail at least). The warm-up plan counts all mail, and holds up marketing mail alone: who asks for a new password on
    the second day must not wait for the third.

    Args:
        sending: the limits.
        provider: by which the mail leaves.
        domain: of the recipient's address, in ASCII.
        is_marketing: or transactional.
        now: the windows are those of this instant.
    """
    found = [*_warm_up(sending, provider, is_marketing, now)]
    found += [_window(sending, provider, one, is_marketing, now) for one in sending.rates if one.provider == provider]
    of_domain = sending.domains.get(domain.lower()) or sending.domains.get("*")
    return [*found, _window(sending, domain.lower(), of_domain, is_marketing, now)] if of_domain else found


def named_windows(sending: Sending, provider: str, now: datetime) -> list[Window]:
    """The windows of this instant that have a name in `sending.yaml`, as they are for transactional mail."""
    domains = [one for one in sending.domains if one != "*"]
    found = [window for one in domains or [""] for window in windows(sending, provider, one, False, now)]
    nameless = _window(sending, "", sending.domains["*"], False, now).name if "*" in sending.domains else ""
    return list({one.name: one for one in found if one.name != nameless}.values())


def _warm_up(sending: Sending, provider: str, is_marketing: bool, now: datetime) -> Iterator[Window]:
    plan, today = sending.warm_up, now.astimezone(UTC).date()
    if plan is None or (number := max((today - plan.from_).days, 0)) >= len(plan.days):
        return
    most = plan.days[number]
    tomorrow = datetime.combine(today + timedelta(days=1), time(), UTC)
    limit = most if is_marketing else _UNLIMITED
    label = f"{provider}, day {number + 1} of {len(plan.days)}: {most:,} marketing mails"
    name, block = f"allowance-warm-up-{provider}-{today}", _block(most, DAY)
    yield Window(name, label, limit, block, tomorrow, timedelta(days=1), is_plan=True)


def _window(sending: Sending, what: str, rate: Rate, is_marketing: bool, now: datetime) -> Window:
    number = round(now.timestamp() * SECOND) // rate.per
    limit = max(rate.max * (100 - sending.kept_for_transactional) // 100, 1) if is_marketing else rate.max
    return Window(
        # A domain can be one person's own, so the store is told no name.
        name=f"allowance-{hashlib.blake2b(what.encode(), digest_size=12).hexdigest()}-{rate.per}-{number}",
        label=f"{what}: {rate.max:,} per {durations.text(rate.per)}",
        limit=limit,
        block=_block(rate.max, rate.per),
        ends=datetime.fromtimestamp((number + 1) * rate.per / SECOND, UTC),
        length=timedelta(milliseconds=rate.per),
    )


def _block(most: int, milliseconds: int) -> int:
    least_turns, most_turns = _TURNS
    return max(most // min(max(milliseconds // (2 * SECOND), least_turns), most_turns), 1)


class _Block:
    """What one worker holds of one window."""

    def __init__(self, ends: datetime) -> None:
        self.ends = ends
        self.left = 0
        self.is_last = False
        self.refused = 0


class Allowances:
    """What one worker has taken ahead. Any number of threads may use it.

    Args:
        store: holds what there is for all workers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._blocks: dict[tuple[str, int], _Block] = {}
        self._lock = threading.Lock()

    def take(self, asked: Sequence[Window], now: datetime) -> datetime | None:
        """Take a place in every window, or in none. None: the mail may leave. Otherwise when to ask again.

        Raises:
            StoreError: not now.
        """
        if not asked:
            return None
        with self._lock:
            self._blocks = {key: block for key, block in self._blocks.items() if now < block.ends}
            blocks = []
            for window in asked:
                block = self._block(window)
                if not block.left:
                    ahead, block.refused = block.refused, block.refused + 1
                    return window.ends + min(window.length * (ahead // window.limit), _FARTHEST)
                blocks.append(block)
            for block in blocks:
                block.left -= 1
            return None

    def _block(self, window: Window) -> _Block:
        block = self._blocks.setdefault((window.name, window.limit), _Block(window.ends))
        if not block.left and not block.is_last:
            expires_at = window.ends + timedelta(hours=1)
            block.left = self._store.take(window.name, window.block, window.limit, expires_at)
            block.is_last = block.left < window.block
        return block
