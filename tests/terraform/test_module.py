"""The module can be read, and holds on to what must not be lost."""

import re
import shutil
import subprocess

import pytest

from tests.support import require
from tests.terraform.module import FOLDER, ROOT, addresses, named, parse, resources

HOLDS_DATA = [
    "google_bigquery_dataset",
    "google_bigquery_table",
    "google_dataflow_flex_template_job",
    "google_firestore_database",
    "google_pubsub_subscription",
    "google_secret_manager_secret",
]
GUIDE = (ROOT / "docs" / "deploying.md").read_text("utf-8")


def test_every_file_is_formatted_as_terraform_formats_it():
    terraform = shutil.which("terraform")
    require(None if terraform else "terraform is not installed")
    checked = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_example_gives_every_variable_that_must_be_given_and_none_that_is_not_there():
    given = set(parse(FOLDER / "example.tfvars"))
    variables = named("variable")
    assert {name for name, body in variables.items() if "default" not in body} <= given <= set(variables)
    commented = re.findall(r"^# (\w+) +=", (FOLDER / "example.tfvars").read_text("utf-8"), re.MULTILINE)
    assert set(commented) <= set(variables)


def test_every_variable_is_explained():
    assert [name for name, body in named("variable").items() if not body.get("description")] == []


@pytest.mark.parametrize("type_", HOLDS_DATA)
def test_terraform_refuses_to_destroy_what_holds_data(type_: str):
    found = resources(type_)
    assert found
    for name, body in found.items():
        assert body["lifecycle"] == [{"prevent_destroy": True}], f"{type_}.{name}"


def test_the_job_is_never_drained():
    [job] = resources("google_dataflow_flex_template_job").values()
    assert job["on_delete"] == "cancel"


def test_no_value_of_a_secret_passes_through_terraform():
    assert not [one for one in addresses() if one.startswith("google_secret_manager_secret_version.")]
    assert "google_secret_manager_secret_version" not in "".join(file.read_text() for file in FOLDER.glob("*.tf"))


def test_every_role_is_given_for_one_thing_where_it_can_be():
    """What is left for the whole project is named here, so that a broader grant is a decision."""
    grants = resources("google_project_iam_member")
    assert {name: body.get("for_each", body["role"]) for name, body in grants.items()} == {
        "build": '${toset(["roles/logging.logWriter", "roles/storage.objectViewer"])}',
        "firestore": '${toset(["deliver", "engage", "hooks", "pipeline", "privacy"])}',
        "pipeline": '${toset(["roles/dataflow.worker", "roles/dataflow.viewer"])}',
    }
    assert grants["firestore"]["role"] == "roles/datastore.user"
    assert grants["firestore"]["condition"], "one database, and not every one of the project"


def test_the_guide_names_only_outputs_resources_and_variables_that_there_are():
    assert set(re.findall(r"output -raw (\w+)", GUIDE)) <= set(named("output"))
    assert set(re.findall(r"-target=(\w+\.\w+)", GUIDE)) <= addresses()
    assert set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)) == set(named("variable"))
