"""The categories of mail: what a person can opt out of, and how each of them wants to be agreed to and watched.

`python -m tidings.permission.categories` prints the JSON Schema that editors use; it is kept in `rules/policy/`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel

from tidings import documents
from tidings.errors import InvalidRuleError
from tidings.permission.consent import MARKETING

FILE = "categories.yaml"

ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""What an id that is described looks like."""


class Wording(BaseModel):
    """A category in another language."""

    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = ""


class Category(BaseModel):
    """One category. Everything but the id has a default, and a category that nobody describes has all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=ID, description="As rules name it.")]
    name: str = Field(default="", description="As people read it; made of the id when left out.")
    description: str = Field(default="", description="One sentence for the preference centre.")
    double_opt_in: bool = Field(
        default=False, description="Only a yes that was confirmed from the mailbox itself counts."
    )
    tracked: bool = Field(default=True, description="false: mail without open pixel, and with untouched links.")
    languages: dict[str, Wording] = Field(default={}, description="The same in other languages, such as de or pt-BR.")

    @property
    def title(self) -> str:
        """The name as people read it."""
        return self.name or re.sub(r"[-_]+", " ", self.id).capitalize()


class _Categories(RootModel[list[Category]]):
    model_config = ConfigDict(title="Tidings categories")


class Categories:
    """All that are described, in the order of the file; any other id is a category with the defaults."""

    def __init__(self, described: Mapping[str, Category]) -> None:
        self._described = described

    def __getitem__(self, category: str) -> Category:
        """The category of this id. One that nobody describes may be any text: events name what they like."""
        found = self._described.get(category)
        if found is not None:
            return found
        return Category.model_construct(id=category, name="Marketing" if category == MARKETING else "")

    def __iter__(self) -> Iterator[Category]:
        """Those that are described."""
        return iter(self._described.values())


@lru_cache(maxsize=8)
def load(folder: str = "") -> Categories:
    """The categories of a policy folder; empty means those that ship with the package. No file: none is described.

    Raises:
        InvalidRuleError: the file is not valid; with every fault.
    """
    file: Traversable = (Path(folder) if folder else files("rules").joinpath("policy")).joinpath(FILE)
    if not file.is_file():
        return Categories({})
    found = documents.validate(_Categories, documents.parse_file(file, "policy"), "categories", "policy").root
    described = {one.id: one for one in reversed(found)}
    if repeated := [place for place, one in enumerate(found) if described[one.id] is not one]:
        faults = [documents.fault(f"[{place}].id", found[place].id, "is given twice") for place in repeated]
        raise InvalidRuleError("categories", faults, "policy")
    return Categories({one.id: one for one in found})


def json_schema() -> str:
    """The JSON Schema of the file, as kept in `rules/policy/categories.schema.json`."""
    return json.dumps(_Categories.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")  # noqa: T201 - this is what the command is for
