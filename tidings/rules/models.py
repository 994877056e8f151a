"""The table of score models: each turns the counts of a person's features into one number.

A new model is one more class, and one line in the table. Numbers are decimal, because three times 0.1 is 0.3 to whoever
wrote the document.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol


class Model(Protocol):
    """A model with its parameters."""

    can_rise: bool
    """Whether the score can rise because an event leaves its window."""

    def __init__(self, weights: Sequence[Decimal], bias: Decimal) -> None:
        """`weights` holds one number for each feature."""

    def score(self, counts: Sequence[int]) -> Decimal:
        """The score for these counts, one for each feature. Must be the same whenever the counts are."""


class Linear:
    """bias + the sum of weight x count."""

    def __init__(self, weights: Sequence[Decimal], bias: Decimal) -> None:
        self._weights = weights
        self._bias = bias
        self.can_rise = any(weight < 0 for weight in weights)

    def score(self, counts: Sequence[int]) -> Decimal:
        """See `Model`."""
        return sum((weight * count for weight, count in zip(self._weights, counts, strict=True) if count), self._bias)


MODELS: dict[str, type[Model]] = {"linear": Linear}
