"""Log lines, as Cloud Logging wants them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.provider_apis import Answer, ProviderApi
from tidings import logs

log = logging.getLogger("tidings.test")


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    """A process that has configured its logging, with the root logger put back at the end."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers = []
    logs.configure()
    yield
    root.handlers, root.level = before


def only_line(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one line that was logged."""
    (line,) = capsys.readouterr().err.splitlines()
    return json.loads(line)


def test_a_line_has_the_fields_that_cloud_logging_reads(capsys: pytest.CaptureFixture[str]) -> None:
    log.warning("%d events", 2, extra={"counts": {"no_person": 2}, "labels": {"step": 1}})
    assert only_line(capsys) == {
        "severity": "WARNING",
        "message": "2 events",
        "logger": "tidings.test",
        "counts": {"no_person": 2},
        "logging.googleapis.com/labels": {"step": "1"},
    }


def test_a_stack_trace_stays_inside_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("it failed")
    line = only_line(capsys)
    assert line["severity"] == "ERROR"
    assert line["message"].startswith("it failed\nTraceback")


def test_configuring_twice_does_not_log_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    log.info("once")
    assert only_line(capsys)["message"] == "once"


def test_a_request_to_a_provider_is_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The mailer says itself how each mail ended."""
    with ProviderApi(lambda _: Answer(202)) as api, httpx.Client() as client:
        client.post(f"http://{api.host}/v3/mail/send", content=b"{}")
    assert capsys.readouterr().err == ""
