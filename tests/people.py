"""Shared builders: events by people at times of one made-up day, so that a test reads like a sentence."""

import itertools
from datetime import UTC, datetime
from typing import Any

import msgspec

from tidings.deciding.engine import Engine
from tidings.deciding.rulebook import RuleBook
from tidings.rules.rule import load
from tidings.rules.segments import load as load_segment
from tidings.simulating import story_documents
from tidings.wire.events import Event, millis

DAY = datetime(2025, 3, 3, tzinfo=UTC)
_numbers = itertools.count(1)


def at(clock: str) -> datetime:
    """`10:15`, `10:15:30` or `10:15:30.500` of the day; `+2d 10:15` two days later."""
    return DAY + story_documents.clock(clock)


def ms(clock: str) -> int:
    """The same instant in milliseconds since 1970."""
    return millis(at(clock))


def an_event(did: str, when: str | datetime, received: str | datetime | None = None, **fields: Any) -> Event:
    """A track event of user `ann`, unless `type`, `user_id`, ... say otherwise; `properties` may be a dict."""
    timestamp = at(when) if isinstance(when, str) else when
    received_at = at(received) if isinstance(received, str) else received or timestamp
    for name in ("properties", "traits", "context"):
        if name in fields:
            fields[name] = msgspec.Raw(msgspec.json.encode(fields[name]))
    kind = fields.pop("type", "track")
    fields.setdefault("message_id", f"m{next(_numbers)}")
    if "anonymous_id" not in fields:
        fields.setdefault("user_id", "ann")
    named = {"event": did} if kind == "track" else {"name": did}
    return Event(type=kind, timestamp=timestamp, received_at=received_at, **named, **fields)


def an_engine(*documents: dict[str, Any], time_scale: float = 1.0, segments: dict[str, Any] | None = None) -> Engine:
    """An engine with these rules, and segments by id (their `where`); what a document leaves out is filled in."""
    groups = [load_segment({"where": where}, name) for name, where in (segments or {}).items()]
    return Engine(RuleBook([load(a_rule(**one)) for one in documents], time_scale, segments=groups))


def a_rule(**fields: Any) -> dict[str, Any]:
    """A rule document that lacks nothing."""
    send = {} if "steps" in fields else {"send": {"template": "welcome"}}
    return {"id": "a-rule", "status": "live", **send, **fields}
