"""docs/privacy.md and docs/duties.md say what is so."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.terraform.module import named, resources
from tidings.adapters.bigquery_erasure import DELETE
from tidings.deciding import state
from tidings.privacy.export import DERIVED, PROVIDED, SCHEMA
from tidings.privacy.kept import TABLE
from tidings.records import retention

DOCS = Path(__file__).parents[2] / "docs"
PRIVACY, DUTIES = ((DOCS / name).read_text("utf-8") for name in ("privacy.md", "duties.md"))
ROWS = re.findall(r"^\| (?!duty|-)(.+?) \| (.+?) \| (.+?) \| (.+?) \|$", DUTIES, re.MULTILINE)
LINK = re.compile(r"\[`(\w+)`\]\(([^)]+\.py)\)")
WANTED = ("GDPR 7", "GDPR 15", "GDPR 17", "GDPR 20", "GDPR 21", "CCPA/CPRA", "11 CCR 7025", "CAN-SPAM", "ePrivacy 13")


@cache
def names(file: Path) -> set[str]:
    """What a file defines: functions, classes, methods, and what is assigned at its top."""
    tree = ast.parse(file.read_text("utf-8"))
    found = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    return found | {one.id for node in tree.body for one in ast.walk(node) if isinstance(one, ast.Name)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_duty_names_a_function_and_a_test_that_there_are(row: tuple[str, ...]) -> None:
    for cell, folders in ((row[2], ("tidings", "functions", "pipeline")), (row[3], ("tests",))):
        links = LINK.findall(cell)
        assert links
        for name, target in links:
            file = (DOCS / target).resolve()
            assert file.relative_to(DOCS.parent).parts[0] in folders
            assert name in names(file), f"{target} has no {name}"
            assert folders != ("tests",) or name.startswith("test_")


def test_no_duty_that_was_asked_for_is_left_out() -> None:
    duties = [row[0] for row in ROWS]
    assert [one for one in WANTED if not any(one in duty for duty in duties)] == []
    for page in (PRIVACY, DUTIES):
        assert "Not legal advice" in page


def test_the_page_says_how_long_everything_is_kept() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (\d*) ?\| (.*?) ?\|$", PRIVACY.partition("## Somebody")[0], re.MULTILINE)
    told = [(what, where, int(days) if days else None, until) for what, where, days, until in rows if what != "what"]
    assert told == [(one.what, one.where, one.days, one.until) for one in TABLE]


def test_the_table_says_what_the_system_does() -> None:
    kept = {one.what.partition(":")[0]: one.days for one in TABLE}
    assert kept["activity feed"] == retention.ACTIVITY.days
    assert kept["sends"] == retention.LEDGER.days
    assert kept["opens, clicks, bounces and complaints"] == retention.FEEDBACK.days
    assert kept["IP addresses and browser names of these and of consent"] == retention.ORIGINS.days
    assert (
        kept["events as they were received"] == retention.ARCHIVE.days == named("variable")["archive_days"]["default"]
    )
    assert kept["what rules and segments remember of a person"] == state.MEMORY / 86_400_000
    held = resources("google_pubsub_subscription")["inspect"]["message_retention_duration"]
    assert kept["events, decisions and dead letters on their way"] == int(held.rstrip("s")) / 86_400


def test_every_field_of_a_copy_is_explained() -> None:
    table = PRIVACY.partition("### The file")[2].partition("## ")[0]
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))))
    assert explained == {
        "schema", "exported_at", "receipt_id", "controller", "person", "ids", *PROVIDED, *DERIVED, "sources",
        "recipients", "retention", "portability", "missing", "counts",
    }  # fmt: skip
    assert SCHEMA in table


def test_the_statement_on_the_page_is_the_one_that_is_run() -> None:
    shown = DELETE.format(table="PROJECT.DATASET.TABLE", recent="INTERVAL 0 MINUTE")
    assert shown.strip() in PRIVACY
