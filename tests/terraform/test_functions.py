"""Each function is deployed with what its code needs, and may do nothing else."""

import ast
import re
import tomllib

import pytest

from functions.local import MOUNTS
from tests.terraform.environment import FIELDS, MAIN, settings_read_by, variable
from tests.terraform.module import FOLDER, ROOT, local, named, resources, subscription_name
from tidings.settings import Settings

FUNCTIONS = local("functions")
NOT_SET = {"TIDINGS_TEMPLATES", "TIDINGS_POLICY"}
"""The templates and policies that ship in the archive are the ones to use."""


def test_every_entry_point_is_deployed_and_every_deployed_one_is_there():
    main = ast.parse(MAIN.read_text("utf-8"))
    entry_points = {node.name for node in main.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"}
    assert set(FUNCTIONS) == entry_points
    assert resources("google_cloudfunctions2_function")["this"]["build_config"][0]["entry_point"] == "${each.key}"


def test_every_setting_comes_from_the_environment_or_from_a_secret():
    settings = {variable(field) for field in FIELDS}
    assert set(local("environment")) | set(local("secrets")) == settings - NOT_SET


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gets_the_secrets_that_its_code_reads_and_no_other(function: str):
    read = {variable(field) for field in settings_read_by(function)}
    assert set(FUNCTIONS[function]["secrets"]) == read & set(local("secrets"))


def test_a_secret_that_may_stay_empty_is_given_to_nobody_while_it_is():
    """A function does not start with a secret that has no version."""
    [secrets] = [
        block["secret_environment_variables"]
        for service in resources("google_cloudfunctions2_function")["this"]["service_config"]
        for block in service["dynamic"]
    ]
    assert secrets["for_each"].replace("${", "").startswith("[for secret in each.value.secrets : secret if !contains(")
    assert local("unused_secrets") == '${var.dkim_selector == "" ? ["TIDINGS_DKIM_KEY"] : []}'


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_publish_to_the_topics_that_its_code_publishes_to_and_no_other(function: str):
    topics = {field for field in settings_read_by(function) if field.endswith("_topic")}
    assert {f"{one.replace('-', '_')}_topic" for one in local("publishers")[function]} == topics


def test_the_code_is_read_for_what_it_is():
    """The two tests above are worth as much as the reader that they rely on."""
    assert settings_read_by("collect") == {"project", "events_topic", "dead_letters_topic", "write_keys"}
    assert settings_read_by("deliver") >= {"mail_url", "secret", "public_url", "postal_address", "store"}


def test_only_who_opens_the_store_may_use_the_database():
    users = set(re.findall(r'"(\w+)"', resources("google_project_iam_member")["firestore"]["for_each"]))
    assert users == {one for one in FUNCTIONS if "store" in settings_read_by(one)} | {"pipeline"}


def test_nobody_but_pubsub_and_the_scheduler_can_reach_the_mailer():
    assert FUNCTIONS["deliver"]["invoker"] == '${google_service_account.this["push"].member}'
    assert FUNCTIONS["deliver"]["ingress"] == "ALLOW_INTERNAL_ONLY"
    [push] = resources("google_pubsub_subscription")["deliver"]["push_config"]
    [token] = push["oidc_token"]
    assert token["service_account_email"] == '${google_service_account.this["push"].email}'
    assert token["audience"] == push["push_endpoint"]
    [target] = resources("google_cloud_scheduler_job")["sweep"]["http_target"]
    [token] = target["oidc_token"]
    assert token["service_account_email"] == '${google_service_account.this["sweep"].email}'
    assert (token["audience"], target["uri"]) == (push["push_endpoint"], f"{push['push_endpoint']}/sweep")
    invokers = resources("google_cloud_run_v2_service_iam_member")
    assert {name: (one["role"], one["member"]) for name, one in invokers.items()} == {
        "invoker": ("roles/run.invoker", "${each.value.invoker}"),
        "sweep": ("roles/run.invoker", '${google_service_account.this["sweep"].member}'),
        "letters": ("roles/run.invoker", '${google_service_account.this["sweep"].member}'),
        "privacy": ("roles/run.invoker", "${each.key}"),
    }
    assert invokers["sweep"]["name"] == '${google_cloudfunctions2_function.this["deliver"].name}'
    assert {invokers[one]["name"] for one in ("letters", "privacy")} == {
        '${google_cloudfunctions2_function.this["privacy"].name}'
    }


def test_once_a_day_the_dead_letters_of_forgotten_people_are_looked_for():
    [target] = resources("google_cloud_scheduler_job")["letters"]["http_target"]
    uri = '${google_cloudfunctions2_function.this["privacy"].service_config[0].uri}'
    assert target["uri"] == f"{uri}/privacy/letters"
    assert target["headers"] == {'"Content-Type"': "application/json"} or target["headers"] == {
        "Content-Type": "application/json"
    }
    assert target["body"] == '${base64encode("{}")}'
    [token] = target["oidc_token"]
    assert (token["audience"], token["service_account_email"]) == (uri, '${google_service_account.this["sweep"].email}')


def test_what_the_mailer_says_when_it_stops_is_what_the_alert_listens_for():
    """The words of a log line are a contract here."""
    [metric] = resources("google_logging_metric").values()
    [words] = re.findall(r'jsonPayload\.message : \\?"([^"\\]+)', metric["filter"])
    assert f'log.error("{words}: ' in (ROOT / "functions" / "sweep.py").read_text("utf-8")


def test_nobody_but_those_who_are_named_can_ask_about_the_data_of_others():
    assert FUNCTIONS["privacy"]["invoker"] is None
    invoker = resources("google_cloud_run_v2_service_iam_member")["invoker"]
    assert invoker["for_each"].endswith("if function.invoker != null}}")
    grant = resources("google_cloud_run_v2_service_iam_member")["privacy"]
    assert (grant["for_each"], grant["member"]) == ("${var.privacy_members}", "${each.key}")
    assert named("variable")["privacy_members"]["default"] == []
    assert "allUsers" not in (FOLDER / "example.tfvars").read_text("utf-8")


def test_who_forgets_people_may_take_their_dead_letters_away_and_nobody_else_may():
    grant = resources("google_pubsub_subscription_iam_member")["privacy"]
    assert grant["member"] == '${google_service_account.this["privacy"].member}'
    assert grant["subscription"] == "${google_pubsub_subscription.inspect.name}"
    assert Settings().dead_letters_subscription == subscription_name("inspect")
    others = [one for one in resources("google_pubsub_subscription_iam_member").values() if one is not grant]
    assert not [one for one in others if "inspect" in one["subscription"]]


def test_the_mailer_and_pubsub_have_as_long_as_the_lease_of_a_decision():
    """A shorter timeout would end a request whose mail is out; a shorter deadline would ask again meanwhile."""
    deadline = resources("google_pubsub_subscription")["deliver"]["ack_deadline_seconds"]
    assert FUNCTIONS["deliver"]["timeout_seconds"] == deadline == "${local.lease_seconds}"
    assert local("environment")["TIDINGS_LEASE_SECONDS"] == "${tostring(local.lease_seconds)}"
    assert local("lease_seconds") == Settings().lease_seconds


def test_no_log_of_requests_keeps_the_link_of_a_mail():
    """Neither that of the function itself, nor that of a load balancer before it."""
    [excluded] = [one["filter"].replace('\\"', '"') for one in resources("google_logging_project_exclusion").values()]
    of_the_function, *of_anybody = excluded.split(" OR ")
    assert 'log_id("run.googleapis.com/requests")' in of_the_function
    assert '${google_cloudfunctions2_function.this["engage"].name}' in of_the_function
    paths = [path for path, function in MOUNTS.items() if function == "engage"]
    assert of_anybody == [f'httpRequest.requestUrl : "${{local.public_url}}/{path}/"' for path in paths]


def test_the_functions_install_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["functions"]
    lines = (ROOT / "functions" / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == wanted


def test_functions_and_pipeline_run_on_the_same_python():
    runtime = resources("google_cloudfunctions2_function")["this"]["build_config"][0]["runtime"]
    [python] = re.findall(r"^FROM python:3\.(\d+)", (ROOT / "pipeline" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert runtime == f"python3{python}"


def test_alerts_and_charts_name_functions_that_there_are():
    named = set(re.findall(r"tidings-(\w+)", (FOLDER / "monitoring.tf").read_text("utf-8")))
    assert named
    assert named <= set(FUNCTIONS)


@pytest.mark.parametrize("severity", ["ERROR", "WARNING"])
def test_reports_about_mail_are_not_lost_in_silence(severity):
    """A key that was changed at the provider alone makes every bounce a warning, and Amazon asks again for a minute."""
    filters = re.findall(r"filter  = (.*)", (FOLDER / "monitoring.tf").read_text("utf-8"))
    assert [
        one for one in filters if "tidings-hooks" in one and f'\\"{severity}\\"' in one and "log_entry_count" in one
    ]
