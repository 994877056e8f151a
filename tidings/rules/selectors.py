"""Selectors: which events a rule means. `Product Viewed` is short for `{event: Product Viewed}`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tidings.rules.conditions import Condition, Predicate, compile_condition, segments_of
from tidings.wire.events import EventType

ANY = "*"


class Selector(BaseModel):
    """One kind of event, by name, with an optional condition on what it carries."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": ["Product Viewed", {"page": "Pricing"}]},
    )

    event: str | None = Field(default=None, min_length=1, description="The name of a track call.")
    page: str | None = Field(default=None, min_length=1, description='The name of a page call, or "*" for any page.')
    screen: str | None = Field(default=None, min_length=1, description='The name of a screen call, or "*" for any.')
    type: EventType | None = Field(default=None, description="Any event of this type, whatever its name.")
    where: Condition | None = Field(default=None, description="What the event must carry; a list means all of them.")

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"event": value}
        if isinstance(value, dict) and isinstance(value.get("where"), list):
            return {**value, "where": {"all": value["where"]}}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The short forms are part of what an editor should accept."""
        schema = handler.resolve_ref_schema(handler(core))
        where = schema["properties"]["where"]
        condition = next(one for one in where["anyOf"] if "$ref" in one)
        where["anyOf"] = [condition, {"type": "array", "items": condition}]
        if "event" in schema["properties"] and cls is Selector:
            return {"anyOf": [{"type": "string", "minLength": 1}, schema]}
        return schema

    @model_validator(mode="after")
    def _names_one_event(self) -> "Selector":
        if self.where is not None and any(segments_of(self.where)):
            raise ValueError("where is about the event; ask about segments in audience")
        if sum(one is not None for one in (self.event, self.page, self.screen, self.type)) != 1:
            raise ValueError("needs exactly one of event, page, screen, type")
        return self

    @property
    def subject(self) -> tuple[EventType, str]:
        """Type and name of the events meant; the name is `*` when any name will do."""
        if self.type is not None:
            return self.type, ANY
        if self.event is not None:
            return "track", self.event
        if self.page is not None:
            return "page", self.page
        assert self.screen is not None
        return "screen", self.screen

    def predicate(self) -> Predicate | None:
        """The compiled condition, or None when every event of this name is meant."""
        if self.where is None:
            return None
        return compile_condition(self.where)
