"""The pipeline's own options, turned once into one frozen `PipelineSettings`."""

import time
from argparse import ArgumentParser
from datetime import UTC, datetime

import msgspec
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from tidings.errors import TidingsError
from tidings.wire.events import millis


class OptionsError(TidingsError):
    """The operator's fault: an option is missing, or two contradict each other."""


class RulesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where rules come from, and how they run. Hashable: workers keep one source for each.

    Attributes:
        store: a store URL (`sqlite:/path`, `firestore`), or empty when `folder` is given.
        folder: a folder of YAML files instead of a store.
        project: the Google Cloud project of a Firestore store.
        time_scale: every duration in every rule is divided by this.
        refresh_seconds: how often the store is asked for edits.
    """

    store: str = ""
    folder: str = ""
    project: str = ""
    time_scale: float = 1.0
    refresh_seconds: float = 5.0


class PipelineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `graph.build` needs to know.

    Attributes:
        rules: see `RulesSettings`.
        events_subscription / events_topic / sends_topic / dead_letters_topic: full names; empty in the bounded form.
        input / output: in the bounded form, a file of events and the prefix of the files that are written.
        secret: digests addresses, or names a version in Secret Manager that does; see `pipeline.secret`.
        until: in the bounded form, how far the history reaches, in milliseconds.
        id_label: the attribute by which Pub/Sub duplicates are dropped on arrival; only Dataflow can do that.
    """

    rules: RulesSettings
    events_subscription: str = ""
    events_topic: str = ""
    sends_topic: str = ""
    dead_letters_topic: str = ""
    secret: str = ""
    input: str = ""
    output: str = ""
    until: int = 0
    id_label: str | None = None


class TidingsOptions(PipelineOptions):
    """Command-line options; `--help` lists them beside Beam's own."""

    @classmethod
    def _add_argparse_args(cls, parser: ArgumentParser) -> None:
        live = parser.add_argument_group("live: from Pub/Sub, until it is stopped")
        live.add_argument("--events_subscription", default="", help="projects/P/subscriptions/S to read events from.")
        live.add_argument(
            "--events_topic", default="", help="projects/P/topics/T of that subscription, for what goes to another id."
        )
        live.add_argument("--sends_topic", default="", help="projects/P/topics/T for decisions.")
        live.add_argument("--dead_letters_topic", default="", help="projects/P/topics/T for what cannot be used.")
        live.add_argument(
            "--secret",
            default="",
            help="Recognises erased addresses: projects/P/secrets/S/versions/V, or the secret itself, which others on "
            "the machine can read here; TIDINGS_SECRET when left out.",
        )
        bounded = parser.add_argument_group("bounded: from a file of events, to files")
        bounded.add_argument("--input", default="", help="JSON lines, one event each, as on the events topic.")
        bounded.add_argument("--output", default="", help="Prefix: writes PREFIX-decisions.jsonl, -dead-letters.jsonl.")
        bounded.add_argument("--until", default="", help="How far the history reaches, ISO 8601; now when left out.")
        rules = parser.add_argument_group("rules")
        rules.add_argument("--store", default="", help="sqlite:/path/to/file.db, or firestore.")
        rules.add_argument("--rules", default="", help="Bounded form only: a folder of YAML files instead of a store.")
        rules.add_argument("--time_scale", type=float, default=1.0, help="Divide every duration in every rule by this.")
        rules.add_argument("--refresh_seconds", type=float, default=5.0, help="How often to look for edited rules.")

    def settings(self) -> PipelineSettings:
        """The options as one checked object.

        Raises:
            OptionsError: see its message.
        """
        if bool(self.input) == bool(self.events_subscription):
            raise OptionsError("give either --input (a file) or --events_subscription (live), and not both")
        if self.input and not self.output:
            raise OptionsError("--input needs --output, the prefix of the files to write")
        topics = self.events_topic and self.sends_topic and self.dead_letters_topic
        if self.events_subscription and not (topics and self.store):
            raise OptionsError(
                "--events_subscription needs --events_topic, --sends_topic, --dead_letters_topic and --store"
            )
        if bool(self.store) == bool(self.rules):
            raise OptionsError("give either --store or, in the bounded form, --rules")
        if self.time_scale <= 0:
            raise OptionsError("--time_scale must be above 0")
        return PipelineSettings(
            rules=RulesSettings(
                store=self.store,
                folder=self.rules,
                project=self.view_as(GoogleCloudOptions).project or "",
                time_scale=self.time_scale,
                refresh_seconds=self.refresh_seconds,
            ),
            events_subscription=self.events_subscription,
            events_topic=self.events_topic,
            sends_topic=self.sends_topic,
            dead_letters_topic=self.dead_letters_topic,
            secret=self.secret,
            input=self.input,
            output=self.output,
            until=_read_until(self.until),
            id_label="messageId" if "dataflow" in (self.view_as(StandardOptions).runner or "").lower() else None,
        )


def _read_until(text: str) -> int:
    if not text:
        return int(time.time() * 1000)
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        raise OptionsError("--until must be an ISO 8601 date and time") from None
    return millis(until if until.tzinfo else until.replace(tzinfo=UTC))
