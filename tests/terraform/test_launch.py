"""What Terraform gives to Dataflow is what the pipeline wants, and a launch with it describes the job."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from packaging.requirements import Requirement

from pipeline.options import TidingsOptions
from tests.support import require
from tests.terraform.launcher import LaunchSite, launch_site
from tests.terraform.module import IMAGE, PROJECT, ROOT, local, names, resources
from tidings.adapters import secrets

METADATA = json.loads((ROOT / "pipeline" / "metadata.json").read_text("utf-8"))
PARAMETERS = {one["name"]: one for one in METADATA["parameters"]}
[JOB] = resources("google_dataflow_flex_template_job").values()
GIVEN = {name: names(value) for name, value in JOB["parameters"].items()}
DOCKERFILE = (ROOT / "pipeline" / "Dockerfile").read_text("utf-8")
COPIED = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
GOLDEN = ROOT / "tests" / "pipeline" / "job_graph.golden.txt"
BUCKET = f"{PROJECT}-tidings-dataflow"


def test_every_parameter_of_the_template_is_an_option_of_the_pipeline_or_of_beam():
    assert TidingsOptions([]).events_subscription == ""  # now Beam knows of ours
    assert set(PARAMETERS) <= set(PipelineOptions([]).get_all_options())


def test_the_job_is_given_every_parameter_that_it_needs_and_none_that_dataflow_would_refuse():
    needed = {name for name, one in PARAMETERS.items() if not one.get("isOptional")}
    assert needed <= set(GIVEN) <= set(PARAMETERS)


@pytest.mark.parametrize("name", GIVEN)
def test_a_parameter_of_the_job_passes_the_check_that_dataflow_makes(name: str):
    assert all(re.fullmatch(pattern, GIVEN[name]) for pattern in PARAMETERS[name].get("regexes", []))


@pytest.fixture
def gcloud(tmp_path: Path) -> Callable[..., str]:
    """Runs gcloud with a configuration of its own, and returns what it prints."""
    require(None if shutil.which("gcloud") else "gcloud is not installed")

    def run(*arguments: str) -> str:
        environment = os.environ | {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        ran = subprocess.run(
            ["gcloud", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def test_the_template_is_what_gcloud_would_write(gcloud: Callable[..., str]):
    """Its names are checked by nobody else: Dataflow leaves out what it does not know."""
    flags = {
        "image": IMAGE,
        "sdk-language": "PYTHON",
        "metadata-file": str(ROOT / "pipeline" / "metadata.json"),
        "project": PROJECT,
        "max-workers": "5",
        "worker-machine-type": "e2-standard-2",
        "service-account-email": "tidings-pipeline@example.iam.gserviceaccount.com",
        "subnetwork": "regions/europe-west1/subnetworks/tidings-workers",
        "temp-location": f"gs://{BUCKET}/temp",
        "staging-location": f"gs://{BUCKET}/staging",
    }
    switches = ("--print-only", "--disable-public-ips", "--enable-streaming-engine")
    built = gcloud(
        *("dataflow", "flex-template", "build", f"gs://{BUCKET}/template.json"),
        *switches,
        *(f"--{name}={flags[name]}" for name in flags),
    )
    spec = json.loads(yaml.safe_load(built))
    before, environment = local("template").split("defaultEnvironment = {")
    assert set(re.findall(r"(\w+) = ", environment)) == set(spec["defaultEnvironment"])
    assert set(re.findall(r"[{,] ?(\w+) = ", before)) - {"language"} | {"defaultEnvironment"} == set(spec)
    assert spec["metadata"]["parameters"] == METADATA["parameters"]


def test_the_pipeline_takes_what_it_is_given_and_keeps_every_event_once():
    flags = [f"--{name}={value}" for name, value in GIVEN.items()]
    settings = TidingsOptions([*flags, "--runner=DataflowRunner", f"--project={PROJECT}"]).settings()
    assert settings.events_subscription == f"projects/{PROJECT}/subscriptions/tidings-events-pipeline"
    assert settings.sends_topic == f"projects/{PROJECT}/topics/tidings-sends"
    assert settings.dead_letters_topic == f"projects/{PROJECT}/topics/tidings-dead-letters"
    assert (settings.rules.store, settings.rules.project) == ("firestore:tidings", PROJECT)
    assert settings.secret == f"projects/{PROJECT}/secrets/tidings-secret/versions/1"
    assert settings.id_label == "messageId"
    assert METADATA["supportsExactlyOnce"]
    assert not METADATA["supportsAtLeastOnce"]


def test_the_pipeline_may_read_the_one_secret_whose_name_it_is_given():
    """The same version as the mailer's, or the two would not know an address by the same digest."""
    reader = resources("google_secret_manager_secret_iam_member")["pipeline"]
    assert reader["secret_id"] == '${google_secret_manager_secret.this["TIDINGS_SECRET"].secret_id}'
    assert reader["role"] == "roles/secretmanager.secretAccessor"
    assert reader["member"] == '${google_service_account.this["pipeline"].member}'
    assert secrets.is_name(GIVEN["secret"])
    assert "${google_secret_manager_secret_iam_member.pipeline}" in JOB["depends_on"]


def test_a_secret_itself_is_refused_where_everybody_could_read_it():
    [pattern] = PARAMETERS["secret"]["regexes"]
    assert not re.fullmatch(pattern, "an-open-secret-of-32-characters")


def test_beam_in_the_image_is_beam_in_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [beam] = [Requirement(one) for one in project["optional-dependencies"]["pipeline"] if "beam" in one]
    [(python, version)] = re.findall(r"^FROM apache/beam_python3\.(\d+)_sdk:(\S+)", DOCKERFILE, re.MULTILINE)
    assert beam.specifier.contains(version)
    assert re.findall(r"python3(\d+)-template-launcher", DOCKERFILE) == [python]
    assert re.findall(r"^FROM python:3\.(\d+)-", DOCKERFILE, re.MULTILINE) == [python]


def test_the_image_is_given_every_package_and_every_file_that_the_build_reads():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = {package.partition(".")[0] for package in pyproject["tool"]["setuptools"]["packages"]}
    project = pyproject["project"]
    assert packages | {"pyproject.toml", project["readme"], *project["license-files"]} <= COPIED
    assert all((ROOT / one).exists() for one in COPIED)


def test_cloud_build_is_sent_what_the_image_is_made_of_and_nothing_else(gcloud: Callable[..., str]):
    sent = gcloud("meta", "list-files-for-upload", ".").split()
    assert {file.partition("/")[0] for file in sent} == {path.partition("/")[0] for path in COPIED}
    assert not [file for file in sent if "__pycache__" in file]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaunchSite]:
    """The image's program, run as the launcher runs it: alone in its folder, with these flags and no others."""
    folder = tmp_path_factory.mktemp("template")
    [source] = re.findall(r"^COPY (\S+) /template/main.py$", DOCKERFILE, re.MULTILINE)
    shutil.copyfile(ROOT / source, folder / "main.py")
    flags = {
        "runner": "DataflowRunner",
        "project": PROJECT,
        "region": "europe-west1",
        "job_name": JOB["name"],
        "template_location": f"gs://{BUCKET}/staging/template_launches/1/job_object",
        "staging_location": f"gs://{BUCKET}/staging",
        "temp_location": f"gs://{BUCKET}/temp",
        "service_account_email": "tidings-pipeline@example.iam.gserviceaccount.com",
        "max_num_workers": "5",
        **GIVEN,
    }
    with launch_site() as site:
        subprocess.run(
            [sys.executable, "main.py", "--enable_streaming_engine", *(f"--{name}={flags[name]}" for name in flags)],
            cwd=folder,
            env={"PATH": os.environ["PATH"]} | site.environment,
            check=True,
            timeout=300,
        )
        yield site


def test_a_launch_ends_and_leaves_a_streaming_job_for_dataflow_to_start(launched: LaunchSite):
    job = json.loads(launched.objects["staging/template_launches/1/job_object"])
    assert (job["name"], job["type"]) == ("tidings", "JOB_TYPE_STREAMING")
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert {name: options[name] for name in GIVEN} == GIVEN
    assert options["enable_streaming_engine"]
    assert options["streaming"]


def test_the_launched_graph_is_the_one_that_updates_are_held_to(launched: LaunchSite):
    [name] = [one for one in launched.objects if one.endswith("/pipeline.pb")]
    graph = beam_runner_api_pb2.Pipeline.FromString(launched.objects[name])
    labels = {one.unique_name for one in graph.components.transforms.values()}
    golden = re.findall(r"^(\S.*): \S*$", GOLDEN.read_text("utf-8"), re.MULTILINE)
    assert labels == set(golden)
