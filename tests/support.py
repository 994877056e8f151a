"""What tests of several folders need."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

Answer = TypeVar("Answer")


def require(reason: str | None) -> None:
    """Skip the test for this reason; fail instead where everything must be there (TIDINGS_REQUIRE_ALL, set in CI).

    None means that nothing is missing.
    """
    if reason is None:
        return
    if os.environ.get("TIDINGS_REQUIRE_ALL"):
        pytest.fail(f"TIDINGS_REQUIRE_ALL is set, but: {reason}")
    pytest.skip(reason)


def eventually(condition: Callable[[], Answer], seconds: float = 30.0) -> Answer:
    """Ask again and again until the answer is truthy, and return it; fail when it never is."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"it did not happen within {seconds:g} s; the last answer was {answer!r}")
        time.sleep(0.02)
    return answer
