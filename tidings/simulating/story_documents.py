"""What a file of stories holds: models, so that every fault is named by its path and value."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from tidings import durations
from tidings.permission.consent import MARKETING
from tidings.rules.quiet_hours import zone_of
from tidings.rules.rule import Rule
from tidings.wire.decisions import REASONS
from tidings.wire.events import Event, EventType

DAY = date(2025, 3, 3)
"""The day of a story that names none; a Monday."""

_CLOCK = (
    r"^(\+(?P<days>\d{1,4})d )?(?P<hours>\d{1,2}):(?P<minutes>[0-5]\d)(:(?P<seconds>[0-5]\d)(\.(?P<part>\d{1,3}))?)?$"
)
_WRITTEN = 'must be a time in quotes, such as "10:15", "10:15:30" or "+2d 09:00"'
_IN_A_SCHEMA = re.sub(r"\?P<\w+>", "", _CLOCK)


def clock(text: object) -> timedelta:
    """`10:15`, `10:15:30` or `10:15:30.500` of the day; `+2d 10:15` two days later.

    Raises:
        ValueError: it is none of these. YAML reads a time without quotes as a number.
    """
    found = re.fullmatch(_CLOCK, text) if isinstance(text, str) else None
    if found is None or int(found["hours"]) > 23:
        raise ValueError(_WRITTEN)
    days, hours, minutes, seconds = (int(found[part] or 0) for part in ("days", "hours", "minutes", "seconds"))
    milliseconds = int((found["part"] or "").ljust(3, "0"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def told(since: timedelta) -> str:
    """The inverse of `clock`, in the fewest words."""
    days, seconds = since.days, since.seconds
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    if seconds % 60 or since.microseconds:
        text += f":{seconds % 60:02}"
    if since.microseconds:
        text += f".{since.microseconds // 1000:03}"
    return f"{days:+}d {text}" if days else text


def on(day: date, since: timedelta) -> datetime:
    """The instant so long after the day began, in UTC."""
    return datetime.combine(day, time(), UTC) + since


def _until(text: object) -> str:
    for read in (clock, durations.parse):
        try:
            read(text)
        except ValueError:
            continue
        return str(text)
    raise ValueError(f'{_WRITTEN}; or how long after the last event, such as "15m" or "4d"')


def _day(day: date) -> date:
    if not 1970 <= day.year <= 2999:
        raise ValueError("must be a day of the years 1970 to 2999")
    return day


def _categories(value: object) -> object:
    """`true` is short for all marketing, `false` for none of it."""
    return {True: [MARKETING], False: []}[value] if isinstance(value, bool) else value


def _time_zone(name: str) -> str:
    if zone_of(name) is None:
        raise ValueError("must be an IANA name such as Europe/Oslo")
    return name


Clock = Annotated[
    timedelta,
    BeforeValidator(clock),
    WithJsonSchema({"type": "string", "pattern": _IN_A_SCHEMA, "examples": ["10:15", "+2d 09:00"]}),
]
"""A pydantic field that reads `+2d 09:00` and holds the time since the day began."""
Name = Annotated[str, Field(min_length=1)]

_TYPES: dict[str, EventType] = {
    "did": "track",
    "page": "page",
    "screen": "screen",
    "identify": "identify",
    "alias": "alias",
}


class Given(BaseModel):
    """One thing that somebody did."""

    model_config = ConfigDict(extra="forbid")

    at: Clock = Field(description="When it happened, in UTC.")
    received: Clock | None = Field(default=None, description="When it was received, if that was later.")
    who: Name | None = Field(default=None, description="The user id.")
    anonymous: Name | None = Field(default=None, description="The anonymous id.")
    did: Name | None = Field(default=None, description="The name of a track call.")
    page: Name | None = Field(default=None, description="The name of a page call.")
    screen: Name | None = Field(default=None, description="The name of a screen call.")
    identify: dict[str, Any] | None = Field(default=None, description="The traits of an identify call; may be {}.")
    alias: Name | None = Field(default=None, description="The anonymous id that turns out to be this person.")
    properties: dict[str, Any] = Field(default={}, alias="with", description="What the event carries.")
    context: dict[str, Any] = Field(default={}, description="Such as {page: {path: /faq}, timezone: Europe/Oslo}.")
    id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="The messageId: one that comes twice counts once."
    )

    @model_validator(mode="after")
    def _is_one_event_of_somebody(self) -> Self:
        if len(self._kinds) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_TYPES)}")
        if self.who is None and (self.anonymous is None or self.alias is not None):
            raise ValueError("needs who" + ("" if self.alias else " or anonymous"))
        if self.received is not None and self.received < self.at:
            raise ValueError("is received before it happens")
        if self.properties and not self.name:
            raise ValueError("with goes with did, page or screen; an identify has its traits right there")
        return self

    @property
    def _kinds(self) -> list[str]:
        return [kind for kind in _TYPES if getattr(self, kind) is not None]

    @property
    def name(self) -> str:
        """What a track, page or screen is called."""
        return self.did or self.page or self.screen or ""

    def event(self, day: date, number: int) -> Event:
        """The event, as the front door would make it. `number` is its place in the story."""
        named = {"event": self.did} if self.did else {"name": self.page or self.screen}
        return Event(
            message_id=self.id or f"event-{number}",
            type=_TYPES[self._kinds[0]],
            timestamp=on(day, self.at),
            received_at=on(day, self.at if self.received is None else self.received),
            user_id=self.who,
            anonymous_id=self.anonymous,
            previous_id=self.alias,
            properties=msgspec.Raw(msgspec.json.encode(self.properties)),
            traits=msgspec.Raw(msgspec.json.encode(self.identify or {})),
            context=msgspec.Raw(msgspec.json.encode(self.context)),
            **named,
        )


class Person(BaseModel):
    """What is known of somebody before the story begins."""

    model_config = ConfigDict(extra="forbid")

    traits: dict[str, Any] = Field(default={}, description="As of an identify call.")
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = Field(default=None, description="An IANA name.")
    address: bool = Field(default=True, description="Whether there is an address to write to: a made-up one.")
    consents: Annotated[
        list[str],
        BeforeValidator(_categories),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(default=[MARKETING], description="Whether they agreed to be written to; or to which categories.")

    def known_as(self, who: str) -> dict[str, Any]:
        """All traits of the person of this id: those that the story names, a name, and an address."""
        given: dict[str, Any] = {"first_name": who.capitalize()}
        if self.address:
            local = re.sub(r"[^a-z0-9]+", "-", who.lower()).strip("-") or "somebody"
            given["email"] = f"{local[:60]}@people.example"
        return given | self.traits


class Ending(NamedTuple):
    """How one send of one rule ends for one person: `send`, `shadow`, or the reason why it does not go.

    Attributes:
        person: as `Event.person`.
        due: as `Decision.due_at`.
    """

    rule: str
    person: str
    due: datetime
    key: str
    step: int
    template: str
    ends: str


class Expected(BaseModel):
    """One run of a rule, or some of its sends, and how they end."""

    model_config = ConfigDict(extra="forbid")

    rule: Name | None = Field(default=None, description="May be left out where a story has one rule.")
    who: Name | None = Field(default=None, description="The user id.")
    anonymous: Name | None = Field(default=None, description="The anonymous id, decided before anybody knew whose.")
    due: Clock = Field(description="When the rule fired, in event time; later steps and held mails say the same.")
    key: str = Field(default="", description="The value of the rule's entry_key, or by.")
    sends: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None, description="The templates of the sends that are meant; the first one alone when left out."
    )
    ends: Literal["send", "shadow", *REASONS] = Field(default="send", description="How they end.")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _is_of_somebody(self) -> Self:
        if (self.who is None) == (self.anonymous is None):
            raise ValueError("needs exactly one of who and anonymous")
        return self

    def endings(self, day: date, rule: Rule) -> list[Ending]:
        """Each send that is meant.

        Raises:
            KeyError: of a template that the rule does not send.
        """
        templates = [send.template for send in rule.sends]
        person = f"u:{self.who}" if self.who else f"a:{self.anonymous}"
        sends = templates[:1] if self.sends is None else self.sends
        for one in sends:
            if one not in templates:
                raise KeyError(one)
        due = on(day, self.due)
        return [Ending(rule.id, person, due, self.key, templates.index(one), one, self.ends) for one in sends]


class Document(BaseModel):
    """What a few people did, and which mails must come of it."""

    model_config = ConfigDict(extra="forbid", title="Tidings story")

    story: Name = Field(description="One sentence.")
    rules: list[Name] = Field(default=[], description="Rules that run; the one that the file is named after.")
    day: Annotated[date, AfterValidator(_day)] = Field(default=DAY, description='The day of "10:00"; UTC.')
    people: dict[str, Person] = Field(
        default={}, description="By user id. Whoever is not here has an address and agrees to be written to."
    )
    given: list[Given] = Field(description="What happened.")
    until: Annotated[str, AfterValidator(_until)] = Field(
        default="", description='How far time goes on: "10:30", "+4d 00:00"; or after the last event: "15m", "4d".'
    )
    expect: list[Expected] | None = Field(
        default=None, description="Exactly these decisions come of it, in any order; [] for none."
    )

    @model_validator(mode="after")
    def _ends_after_it_has_begun(self) -> Self:
        last = max((one.received or one.at for one in self.given), default=timedelta())
        if ":" in self.until and clock(self.until) < last:
            raise ValueError(f"until {self.until} lies before the last event, which is received at {told(last)}")
        return self
