"""Starts everything in order, plays the story, and keeps it all running until somebody ends it."""

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import msgspec

from tidings.errors import TidingsError
from tidings.local import google, parts, topology
from tidings.local.emulators import available
from tidings.local.folder import DataFolder
from tidings.local.front_door import FrontDoor
from tidings.local.ports import HOST, is_free, next_free
from tidings.local.seeding import seed_rules
from tidings.local.stack import WRITE_KEY, Stack
from tidings.local.story import SUPPORT, Story
from tidings.local.supervisor import Child, Supervisor
from tidings.local.terminal import BOLD, DIM, GREEN, RED, Terminal
from tidings.records.store import Store

DEFAULT_PORT = 8080
LOOK_SECONDS = 0.2
INTERRUPTED = 128 + signal.SIGINT
TABLE = (7, 4, 26, 10, 0)
"""How wide the columns of the story's table are."""


class RunError(TidingsError):
    """Something outside is missing or taken; the message says what to do."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options.

    Attributes:
        data: the data folder, absolute.
        port: where the pages and functions listen; None for 8080 or the next free one.
        time_scale: how many times faster than life the rules' waits run.
        once: end after the story.
        story: play the story at all.
        google: start Google's emulators instead of the embedded server and SQLite.
        verbose: repeat the parts' logs on the terminal.
        reset: forget what the data folder holds.
    """

    data: Path
    port: int | None
    time_scale: float
    once: bool
    story: bool
    google: bool
    verbose: bool
    reset: bool


def run(options: Options, terminal: Terminal) -> int:
    """Run until the story is over (`once`), or until SIGINT or SIGTERM.

    Returns:
        0, or with `once` 1 when the story did not end as it must, and 130 when it was not played to its end.

    Raises:
        TidingsError: a part does not start, or something that it needs is missing or taken.
    """
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _end)
    try:
        with ExitStack() as stack:
            local = LocalRun(options, terminal, stack)
            local.start()
            local.show_where_to_look()
            good = local.tell_the_story() if options.story else True
            if options.once:
                return 0 if good else 1
            local.keep_running()
    except KeyboardInterrupt:
        terminal.say("\n  Everything is stopped.")
    return INTERRUPTED if options.once else 0


def _end(_signal: int, _frame: FrameType | None) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)  # stopping takes a second, and is not to be interrupted
    raise KeyboardInterrupt


class LocalRun:
    """One run. What it opens is closed by `stack`, newest first."""

    def __init__(self, options: Options, terminal: Terminal, stack: ExitStack) -> None:
        self._options = options
        self._terminal = terminal
        self._stack = stack
        self._folder = DataFolder(options.data)
        stack.enter_context(self._folder.locked())
        if options.reset:
            self._folder.reset()
        echo = terminal.say if options.verbose else None
        self._supervisor = stack.enter_context(Supervisor(self._folder.logs, terminal.notice, echo))
        self._port = self._choose_port()
        self._parts = Stack(self._folder, self._supervisor, self._port, stack)
        self._store: Store

    def start(self) -> None:
        """Start every part, in the order in which they need each other."""
        options, terminal, supervisor = self._options, self._terminal, self._supervisor
        terminal.say(f"\n{terminal.colour('Tidings', BOLD)}, all of it, on this machine\n")
        self._parts.set_environment({"support": SUPPORT})
        catcher = self._parts.start_catcher()
        self._start_emulators()
        with terminal.step("Store") as step:
            chosen, self._store = self._parts.open_store()
            new = seed_rules(self._store)
            step.detail = f"{chosen.store.partition(':')[0]}, {len(self._store.rules())} rules, {new} of them new"
        functions = self._parts.start_functions(options.time_scale)
        pipeline = supervisor.start(parts.pipeline(chosen, topology.events_subscription(chosen), options.time_scale))
        self._wait(catcher, f"smtp://{HOST}:{self._parts.smtp_port}")
        self._wait(functions, f"http://localhost:{self._port}")
        self._wait(pipeline, f"DirectRunner, time runs {options.time_scale:g} times faster")

    def show_where_to_look(self) -> None:
        """The addresses, the logs, and the processes."""
        say, home = self._terminal.say, f"http://localhost:{self._port}"
        say()
        for name, where in {
            "Start here": f"{home}/",
            "Shop": f"{home}/shop/",
            "Inbox": f"{home}/inbox",
            "Logs": str(self._folder.logs),
            "Processes": ", ".join(f"{child.part.name} {child.pid}" for child in self._supervisor.children),
        }.items():
            say(f"  {name:<16} {where}")

    def tell_the_story(self) -> bool:
        """Play it, show what comes of it, and say whether that is what must come of it."""
        terminal = self._terminal
        story = Story(
            FrontDoor(self._port, WRITE_KEY), self._port, self._store, self._parts.mailbox, self._options.time_scale
        )
        terminal.say(f"\n{terminal.colour('A short story', BOLD)}\n")
        for done in story.play():
            terminal.say(f"  {story.elapsed:5.1f} s  {done}")
        terminal.say()
        terminal.row(("When", "Who", "Rule", "Outcome", "Why, or what about"), TABLE, BOLD)
        good = True
        for found in story.outcomes(self._supervisor.check):
            good &= found.is_as_expected
            colour = RED if not found.is_as_expected else GREEN if found.outcome == "sent" else DIM
            who, rule = found.expected.visitor.name, found.expected.rule
            terminal.row((f"{found.after:.1f} s", who, rule, found.outcome, found.why), TABLE, colour)
        if good:
            terminal.say(f"\n  {terminal.colour('All as it must be.', GREEN)}")
        else:
            tails = "\n".join(child.tail() for child in self._supervisor.children)
            terminal.say(f"\n  {terminal.colour('Not as it must be.', RED)} What the parts say:\n{tails}")
        return good

    def keep_running(self) -> None:
        """Until somebody ends it, or a part ends that cannot be started again."""
        self._terminal.say("\n  Running. Ctrl-C ends it.\n")
        while True:
            self._supervisor.check()
            time.sleep(LOOK_SECONDS)

    def _choose_port(self) -> int:
        wanted = self._options.port
        if wanted is None:
            return next_free(DEFAULT_PORT)
        if not is_free(wanted):
            raise RunError(f"Port {wanted} is taken. Give another with --port, or leave it out for the next free one.")
        return wanted

    def _start_emulators(self) -> None:
        """Pub/Sub: the user's emulator, Google's, or our own server. Firestore: the user's, Google's, or SQLite."""
        ours: dict[str, Child] = {}
        for name in ("pubsub", "firestore"):
            variable = f"{name.upper()}_EMULATOR_HOST"
            if address := os.environ.get(variable):
                self._check_answers(variable, address)
            elif self._options.google:
                if reason := available(name):
                    raise RunError(f"{reason} Leave out --emulators google to run without.")
                ours[name] = self._supervisor.start(parts.google_emulator(name))
        for name, child in ours.items():
            os.environ[f"{name.upper()}_EMULATOR_HOST"] = self._google_address(child)
        if "PUBSUB_EMULATOR_HOST" not in os.environ:
            self._wait(self._parts.start_pubsub(), "embedded")
        if "FIRESTORE_EMULATOR_HOST" in os.environ:
            os.environ["TIDINGS_STORE"] = "firestore"

    def _check_answers(self, variable: str, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except (OSError, ValueError):
            raise RunError(f"{variable} is {address}, and nothing answers there. Unset it, or start that.") from None
        self._terminal.say(f"  {variable} is set: using {address}")

    def _google_address(self, child: Child) -> str:
        with self._terminal.step(child.part.name) as step:
            child.wait_until_ready()
            address = google.address_in(child.log.read_text())
            assert address
            step.detail = f"Google's emulator at {address}"
            return address

    def _wait(self, child: Child, detail: str) -> None:
        with self._terminal.step(child.part.name) as step:
            child.wait_until_ready()
            step.detail = detail
