"""The identity of the running job: labels, state, timers and coders, as Dataflow would be given them.

A change here means that `--update` of a running job may be refused, or may lose state. If that is meant, write the new
form down with `python -m tests.pipeline.test_job_graph`, and say in the changelog how to get there.
"""

import contextlib
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from pipeline import graph
from pipeline.options import TidingsOptions

GOLDEN = Path(__file__).with_name("job_graph.golden.txt")


def job_graph() -> str:
    """A dry run: nothing is sent anywhere, and no credentials are needed."""
    options = PipelineOptions(
        [
            "--runner=DataflowRunner",
            "--dry_run=True",
            "--no_auth",
            "--project=tidings-test",
            "--region=us-central1",
            "--temp_location=gs://tidings-bucket/temp",
            "--staging_location=gs://tidings-bucket/staging",
            "--sdk_location=container",
            "--sdk_container_image=tidings",
            "--streaming",
            "--events_subscription=projects/tidings-test/subscriptions/events",
            "--events_topic=projects/tidings-test/topics/events",
            "--sends_topic=projects/tidings-test/topics/sends",
            "--dead_letters_topic=projects/tidings-test/topics/dead-letters",
            "--store=firestore",
        ]
    )
    settings = options.view_as(TidingsOptions).settings()
    runner = DataflowRunner()
    pipeline = beam.Pipeline(runner=runner, options=options)
    graph.build(pipeline, settings)
    pipeline.run()
    components = runner.proto_pipeline.components
    lines = []
    for transform in sorted(components.transforms.values(), key=lambda one: one.unique_name):
        lines.append(f"{transform.unique_name}: {transform.spec.urn}")
        if transform.spec.urn == "beam:transform:pardo:v1":
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            for name, spec in sorted(payload.state_specs.items()):
                coder = components.coders[spec.read_modify_write_spec.coder_id].spec.urn
                lines.append(f"    state {name}: {spec.WhichOneof('spec')} of {coder}")
            for name, timer in sorted(payload.timer_family_specs.items()):
                lines.append(f"    timer {name}: {beam_runner_api_pb2.TimeDomain.Enum.Name(timer.time_domain)}")
                key, _ = components.coders[timer.timer_family_coder_id].component_coder_ids
                lines.append(f"    key: {components.coders[key].spec.urn}")
        if transform.spec.urn == "beam:transform:pubsub_read:v1":
            with contextlib.suppress(Exception):
                read = beam_runner_api_pb2.PubSubReadPayload.FromString(transform.spec.payload)
                lines.append(f"    duplicates are dropped by {read.id_attribute}")
    return "\n".join(lines) + "\n"


def test_the_job_graph_is_the_one_that_runs():
    assert job_graph() == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(job_graph())
