"""The parts of the local run, each as the command that starts it and the sign that it is ready."""

from pathlib import Path

from tidings.local import google
from tidings.local.folder import DataFolder
from tidings.local.ports import answers
from tidings.local.supervisor import Part
from tidings.settings import Settings

PIPELINE_SAYS = "pipeline is running"


def embedded_pubsub(file: Path, port: int) -> Part:
    """The embedded Pub/Sub server, which keeps its messages in a file."""
    command = ("tidings.adapters.pubsub_server", "--path", str(file), "--port", str(port))
    return Part(name="Pub/Sub", command=command, is_ready=answers(port))


def google_emulator(name: str) -> Part:
    """One of Google's emulators. They keep everything in memory, so one that died cannot be started again."""
    return Part(
        name={"pubsub": "Pub/Sub", "firestore": "Firestore"}[name],
        command=("tidings.local.google", name),
        is_ready=lambda written: google.address_in(written) is not None,
        patience=90.0,
        restart=False,
    )


def mail_catcher(folder: DataFolder, port: int) -> Part:
    """The SMTP server that keeps every mail."""
    command = ("tidings.local.catcher", "--port", str(port), "--folder", str(folder.mail))
    return Part(name="Mail catcher", command=command, is_ready=answers(port))


def functions(folder: DataFolder, port: int, time_scale: float, clock: Path | None = None) -> Part:
    """The functions and the pages, on one port; by a clock in a file, if there is one."""
    options = ["--port", str(port), "--mail-folder", str(folder.mail), "--time-scale", f"{time_scale:g}"]
    if clock is not None:
        options += ["--clock", str(clock)]
    return Part(name="Functions", command=("functions.local", *options), is_ready=answers(port))


def pipeline(settings: Settings, subscription: str, time_scale: float) -> Part:
    """The pipeline, on Beam's DirectRunner."""
    topics = f"projects/{settings.project}/topics"
    options = {
        "runner": "BundleBasedDirectRunner",
        "project": settings.project,
        "events_subscription": f"projects/{settings.project}/subscriptions/{subscription}",
        "events_topic": f"{topics}/{settings.events_topic}",
        "sends_topic": f"{topics}/{settings.sends_topic}",
        "dead_letters_topic": f"{topics}/{settings.dead_letters_topic}",
        "store": settings.store,
        "time_scale": f"{time_scale:g}",
        "refresh_seconds": "2",  # a marketer who edits a rule here is watching
    }
    command = ["pipeline.main", "--streaming"]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Part(
        name="Pipeline",
        command=tuple(command),
        is_ready=lambda written: PIPELINE_SAYS in written,
        patience=120.0,
    )
