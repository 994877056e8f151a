"""The whole pipeline on one page.

    live:     Pub/Sub -> decode -> profiles -> by id -> decide (state, timer) -> sends, activity
                 ^-------------------------------------------- onward, from an anonymous id to its person
    bounded:  file    -> decode -> by person -> sort, replay -----------------------------------> file
                           |           `- who joined an anonymous id -.                      |
                           `-> by anonymous id -> follow -------------`-> by person, replay -'

Both forms decode with the same step and decide with the same engine. Dead letters are gathered at the end. In the
bounded form only those who have an anonymous past are grouped a second time, together with it.
"""

from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub, WriteToPubSub
from apache_beam.pvalue import PCollection

from pipeline import coders  # noqa: F401 - registers them
from pipeline.decide import ONWARD, Decide
from pipeline.decode import ANONYMOUS, DEAD, Decode
from pipeline.options import PipelineSettings
from pipeline.replay import JOINED, Follow, Replay
from pipeline.write import UpdateProfiles, WriteActivity, activity_of_event
from tidings.deciding.bookkeeping import activity_of_decision
from tidings.ingest import intake
from tidings.records.store import Activity
from tidings.wire import dead_letter, decisions, topics
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

Keyed = tuple[str, Event]

DECISIONS, DEAD_LETTERS = "-decisions.jsonl", "-dead-letters.jsonl"
"""What the names of the files that the bounded form writes end with."""


def build(pipeline: beam.Pipeline, settings: PipelineSettings) -> None:
    """Add every step to `pipeline`, in the form that the settings ask for."""
    if settings.input:
        _build_bounded(pipeline, settings)
    else:
        _build_live(pipeline, settings)


def _build_live(pipeline: beam.Pipeline, settings: PipelineSettings) -> None:
    rules = settings.rules
    messages = pipeline | "Read events" >> ReadFromPubSub(
        subscription=settings.events_subscription, id_label=settings.id_label, with_attributes=True
    )
    decoded = decode(messages)
    known = decoded.main | "Update profiles" >> beam.ParDo(UpdateProfiles(rules, settings.secret)).with_output_types(
        Keyed
    )
    decided = decide(known, settings)

    _ = (
        decided.main
        | "Decision to message" >> beam.Map(to_message).with_output_types(PubsubMessage)
        | "Publish sends" >> WriteToPubSub(settings.sends_topic, with_attributes=True)
    )
    _ = decided[ONWARD] | "Publish onward" >> WriteToPubSub(settings.events_topic, with_attributes=True)
    _ = (
        (
            known | "Events to activity" >> beam.FlatMap(activity_of_event).with_output_types(Activity),
            decided.main | "Decisions to activity" >> beam.Map(activity_of_decision).with_output_types(Activity),
        )
        | "All activity" >> beam.Flatten()
        | "Write activity" >> beam.ParDo(WriteActivity(rules, settings.secret))
    )
    _ = (
        (decoded.dead, decided.dead)
        | "All dead letters" >> beam.Flatten()
        | "Publish dead letters" >> WriteToPubSub(settings.dead_letters_topic, with_attributes=True)
    )


def _build_bounded(pipeline: beam.Pipeline, settings: PipelineSettings) -> None:
    messages = (
        pipeline
        | "Read file" >> beam.io.ReadFromText(settings.input, coder=beam.coders.BytesCoder())
        | "Line to message" >> beam.Map(line_to_message).with_output_types(PubsubMessage)
    )
    decoded = _Outputs(messages | "Decode" >> _with_outputs(Decode(apart=True), Keyed, **{ANONYMOUS: Keyed}))
    replayed = _Outputs(
        decoded.main
        | "Group by person" >> beam.GroupByKey()
        | "Replay" >> _with_outputs(Replay(settings.rules, settings.until, apart=True), Decision, **{JOINED: Keyed})
    )
    followed = (
        decoded[ANONYMOUS]
        | "Group by anonymous id" >> beam.GroupByKey()
        | "Follow to the person" >> beam.ParDo(Follow()).with_output_types(Keyed)
    )
    with_past = _Outputs(
        (replayed[JOINED], followed)
        | "Everybody with an anonymous past" >> beam.Flatten()
        | "Group by person with past" >> beam.GroupByKey()
        | "Replay with past" >> _with_outputs(Replay(settings.rules, settings.until), Decision)
    )
    _ = (
        (replayed.main, with_past.main)
        | "All decisions" >> beam.Flatten()
        | "Decision to line" >> beam.Map(decisions.encode).with_output_types(bytes)
        | "Write decisions" >> _write_lines(settings.output + DECISIONS)
    )
    _ = (
        (decoded.dead, replayed.dead, with_past.dead)
        | "All dead letters" >> beam.Flatten()
        | "Dead letter to line" >> beam.Map(dead_letter_to_line).with_output_types(bytes)
        | "Write dead letters" >> _write_lines(settings.output + DEAD_LETTERS)
    )


class _Outputs:
    """The ends of a step that can fail: what it is for, its dead letters, and by their tags whatever else it has."""

    def __init__(self, outputs: Any) -> None:
        self._outputs = outputs
        self.main: PCollection = outputs.main
        self.dead: PCollection = outputs[DEAD]

    def __getitem__(self, tag: str) -> PCollection:
        return self._outputs[tag]


def decode(messages: PCollection) -> _Outputs:
    """Messages -> (id, event), for the event's person, and for an anonymous id that joins them by it."""
    return _Outputs(messages | "Decode" >> _with_outputs(Decode(), Keyed))


def decide(known: PCollection, settings: PipelineSettings) -> _Outputs:
    """(id, event) -> decisions, with one state cell and one timer an id; ONWARD: messages for the events topic."""
    return _Outputs(known | "Decide" >> _with_outputs(Decide(settings.rules), Decision, **{ONWARD: PubsubMessage}))


def to_message(decision: Decision) -> PubsubMessage:
    """The wire form of a decision."""
    return PubsubMessage(*topics.of_decision(decision))


def line_to_message(line: bytes) -> PubsubMessage:
    """A line of a file, as if it had come from the events topic."""
    return PubsubMessage(line, {"schema": intake.schema_of_line(line)})


def dead_letter_to_line(message: PubsubMessage) -> bytes:
    """One dead letter as one line of JSON."""
    return msgspec.json.encode(dead_letter.read(message.data, message.attributes))


def _with_outputs(step: beam.DoFn, output: Any, **others: Any) -> Any:
    """A step whose main output is of type `output`, and whose other outputs are dead letters and `others`, by tag."""
    others[DEAD] = PubsubMessage
    return beam.ParDo(step).with_output_types(output, **others).with_outputs(*others, main="main")


def _write_lines(path: str) -> Any:
    return beam.io.WriteToText(path, shard_name_template="", coder=beam.coders.BytesCoder())
