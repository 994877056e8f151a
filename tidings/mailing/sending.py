"""How fast mail may leave, and when it must stop: the operator's `sending.yaml`, and what has come of the mail so far.

`tidings.mailing.allowances` keeps the limits, `tidings.mailing.breaker` stops marketing mail when too much of it
bounces. `python -m tidings.mailing.sending` prints the JSON Schema that editors use; it is kept in `rules/policy/`.
"""

import json
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, get_args

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tidings import documents
from tidings.durations import Duration
from tidings.records.store import Store

FILE = "sending.yaml"
NOTE = "sending"
"""The name of the note in the store that says whether mail is stopped, see `tidings.mailing.breaker`."""

Provider = Literal["smtp", "sendgrid", "ses", "mailgun", "postmark"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
Outcome = Literal["sent", "hard_bounced", "complained"]
"""What is counted: `sent` is every mail that the provider gave an answer to, also the answer that there is no such
mailbox; `hard_bounced` those whose address is dead, told at once or later; `complained` those that were called spam."""

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
TALLIES_KEPT = timedelta(days=8)
"""For a week of hours, and one day in which the last of them can be looked at."""


def _from_ten_seconds_to_a_day(milliseconds: int) -> int:
    """A shorter one would ask the store all the time, a longer one would need a memory for who has had how much."""
    if not 10 * SECOND <= milliseconds <= DAY:
        raise ValueError("must be from 10s to 1d")
    return milliseconds


def _at_most_a_week(milliseconds: int) -> int:
    if milliseconds % HOUR or milliseconds > 7 * DAY:
        raise ValueError("must be whole hours, and at most 7d")
    return milliseconds


def _once_each(rates: "list[ProviderRate]") -> "list[ProviderRate]":
    """Two for the same stretch of time would be counted as one, and the stricter is all that they can mean."""
    if len({(one.provider, one.per) for one in rates}) < len(rates):
        raise ValueError("has two limits of one provider for the same stretch of time: leave the higher one out")
    return rates


def _as_in_addresses(domains: "dict[str, Rate]") -> "dict[str, Rate]":
    """By the names that mail is looked up by: small letters, and internationalised ones in punycode."""
    found = {name if name == "*" else _domain(name): rate for name, rate in domains.items()}
    if len(found) < len(domains):
        raise ValueError("names one domain twice")
    return found


def _domain(name: str) -> str:
    try:
        return str(validate_email(f"somebody@{name}", check_deliverability=False).ascii_domain).lower()
    except EmailNotValidError:
        raise ValueError(f"{name!r} is no domain that mail can go to, such as gmail.com") from None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rate(_Part):
    """So many mails in each stretch of time."""

    max: Annotated[int, Field(ge=1, le=1_000_000_000, description="So many mails.")]
    per: Annotated[Duration, AfterValidator(_from_ten_seconds_to_a_day)]


class ProviderRate(Rate):
    """What one provider takes."""

    provider: Annotated[Provider, Field(description="The provider that this is about.")]


class WarmUp(_Part):
    """A new sending address earns its reputation with little mail first, and more each day."""

    from_: Annotated[date, Field(alias="from", description="The first day, in UTC; the days before it are as it.")]
    days: Annotated[
        list[Annotated[int, Field(ge=1)]],
        Field(min_length=1, max_length=400, description="So many mails on each day; after the last day no limit."),
    ]


class Breaker(_Part):
    """When to stop marketing mail by itself."""

    over: Annotated[Duration, AfterValidator(_at_most_a_week)] = Field(
        default=24 * HOUR, description="How far back it looks.", json_schema_extra={"default": "24h"}
    )
    at_least: int = Field(default=100, ge=1, description="Below so many mails in that time no share means anything.")
    hard_bounces: float = Field(default=5.0, gt=0, le=100, description="Percent of them to addresses that are dead.")
    complaints: float = Field(default=0.3, gt=0, le=100, description="Percent of them that were called spam.")


class Sending(_Part):
    """The whole document. Everything has a default, and by default nothing is limited and the breaker is on."""

    model_config = ConfigDict(title="Tidings sending limits", extra="forbid", frozen=True)

    rates: Annotated[list[ProviderRate], AfterValidator(_once_each)] = Field(
        default=[], description="What providers take. Every limit holds by itself."
    )
    domains: Annotated[dict[str, Rate], AfterValidator(_as_in_addresses)] = Field(
        default={}, description='What the mailboxes of one domain get, such as gmail.com; "*" for each other one.'
    )
    warm_up: WarmUp | None = Field(default=None, description="Fewer mails on the first days.")
    kept_for_transactional: int = Field(
        default=20, ge=0, le=90, description="Percent of each rate that marketing mail leaves to transactional mail."
    )
    give_up_after: Duration = Field(
        default=24 * HOUR,
        description="Marketing mail that has waited for its turn that long is not sent any more.",
        json_schema_extra={"default": "24h"},
    )
    breaker: Breaker | None = Field(default=Breaker(), description="null: never stop by itself.")


@lru_cache(maxsize=8)
def load(folder: str = "") -> Sending:
    """What a policy folder says; empty means the one that ships with the package. No file: the defaults.

    Raises:
        InvalidRuleError: the file is not valid; with every fault.
    """
    file: Traversable = (Path(folder) if folder else files("rules").joinpath("policy")).joinpath(FILE)
    if not file.is_file():
        return Sending()
    return documents.validate(Sending, documents.parse_file(file, "policy") or {}, "sending", "policy")


def tally_name(provider: str, at: datetime) -> str:
    """The name of the counts of one provider and hour."""
    return f"sending-{provider}-{at.astimezone(UTC):%Y-%m-%dT%H}"


def count(store: Store, provider: str, what: Outcome, now: datetime, number: int = 1) -> None:
    """Count what became of mails, in the hour in which we heard of it.

    Raises:
        StoreError: not now.
    """
    store.tally(tally_name(provider, now), {what: number}, now + TALLIES_KEPT)


def json_schema() -> str:
    """The JSON Schema of the file, as kept in `rules/policy/sending.schema.json`."""
    return json.dumps(Sending.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")  # noqa: T201 - this is what the command is for
