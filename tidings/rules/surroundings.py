"""What surrounds a trigger in a rule document: steps, frequency caps, re-entry, and whom it addresses."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tidings.durations import Duration
from tidings.rules.selectors import Selector

TemplateName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="A folder in templates/.")]


class Pause(BaseModel):
    """Fire again for the same person and entry key, but not before this long after the last time."""

    model_config = ConfigDict(extra="forbid")

    after: Duration


class Send(BaseModel):
    """What goes out, and to whom."""

    model_config = ConfigDict(extra="forbid")

    template: TemplateName
    to: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")] = Field(
        default="person", description='"person", or the name of a role such as support, whose address is configured.'
    )


class Step(BaseModel):
    """One step of a campaign: `{send: ..., unless: [...]}` or `{wait: 24h}`."""

    model_config = ConfigDict(extra="forbid")

    send: Send | None = None
    unless: list[Selector] = Field(default=[], description="Skip this send if one of these happened since it began.")
    wait: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _template_is_enough(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("send"), str):
            return {**value, "send": {"template": value["send"]}}
        return value

    @model_validator(mode="after")
    def _sends_or_waits(self) -> "Step":
        if (self.send is None) == (self.wait is None):
            raise ValueError("needs exactly one of send and wait")
        if self.wait is not None and self.unless:
            raise ValueError("unless belongs beside send")
        return self


class FrequencyCap(BaseModel):
    """At most `max` marketing mails in any stretch of time this long, counted exactly."""

    model_config = ConfigDict(extra="forbid")

    max: Annotated[int, Field(ge=1, le=100)] = 1
    per: Duration
    across: Literal["all", "category"] = Field(default="all", description="Count all marketing mail, or this category.")


DEFAULT_CAP = FrequencyCap.model_validate({"max": 1, "per": "16h"})
"""One marketing mail in 16 hours, what people know from Klaviyo's Smart Sending."""
