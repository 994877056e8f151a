"""Starts the parts for a story, plays it, and says what came of it."""

import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tidings.deciding.engine import Fault
from tidings.local import inboxes
from tidings.local.clock_file import ClockFile
from tidings.local.folder import DataFolder
from tidings.local.front_door import FrontDoor
from tidings.local.inboxes import Line
from tidings.local.ports import free_port
from tidings.local.run import LOOK_SECONDS
from tidings.local.simulation import Simulation
from tidings.local.stack import WRITE_KEY, Stack
from tidings.local.supervisor import Supervisor
from tidings.local.terminal import Terminal
from tidings.rollout.rule_set import RuleSet
from tidings.simulating import playing
from tidings.simulating.playing import Difference
from tidings.simulating.stories import Story
from tidings.wire.decisions import PERSON

BACKOFF = (0.05, 0.2)
"""In seconds: what the mailer puts off is asked about again as soon as the story has gone on."""
DELIVERIES = "100"
"""The most that there are: a story with many events in one minute asks often."""


class Told(NamedTuple):
    """What came of a story.

    Attributes:
        lines: every decision with its end, in the order of time.
        faults: what a rule could not read.
        differences: from what it expects of its own rules; None when it does not say.
        inbox: where the mails can be looked at, as long as the parts run.
    """

    story: Story
    lines: Sequence[Line]
    faults: Sequence[Fault]
    differences: Sequence[Difference] | None
    inbox: str

    @property
    def is_good(self) -> bool:
        """Whether nothing is otherwise than expected."""
        return not self.differences


class Running:
    """The parts, for as long as somebody wants to look at them."""

    def __init__(self, told: Told, supervisor: Supervisor) -> None:
        self.told = told
        self._supervisor = supervisor

    def keep(self) -> None:
        """Until Ctrl-C.

        Raises:
            PartError: a part has ended that cannot be started again.
        """
        try:
            while True:
                self._supervisor.check()
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return


@contextmanager
def told(
    story: Story, rules: RuleSet, templates: Path | None, terminal: Terminal, *, verbose: bool
) -> Iterator[Running]:
    """Play one story with parts of its own, which run until the context ends.

    Args:
        story: what happens.
        rules: those that run.
        templates: a folder of templates; None for those that ship.
        terminal: where progress is shown.
        verbose: repeat the logs of the parts there.

    Raises:
        TidingsError: a part does not start or does not answer; or the story expects what there is not.
    """
    expected = story.expected(rules.rules)
    with ExitStack() as exits:
        for sign in (signal.SIGINT, signal.SIGTERM):  # a shell may have had its background jobs ignore the first
            exits.callback(signal.signal, sign, signal.signal(sign, _interrupt))
        folder = DataFolder(Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="tidings-"))))
        echo = terminal.say if verbose else None
        supervisor = exits.enter_context(Supervisor(folder.logs, terminal.notice, echo))
        # Any port, and not the next after 8080: two simulations that start at once would both find that one free.
        stack = Stack(folder, supervisor, free_port(), exits)
        clock = folder.path / "clock"
        ClockFile(clock).set(story.known_since)
        roles = {send.to for rule in rules.rules.values() for send in rule.sends} - {PERSON}
        stack.set_environment(
            {role: f"{role}@pebble-and-fern.example" for role in roles},
            TIDINGS_TEMPLATES=str(templates.absolute()) if templates else "",
            TIDINGS_DELIVERY_ATTEMPTS=DELIVERIES,
        )
        with terminal.step("Parts"):
            started = [stack.start_pubsub(), stack.start_catcher(), stack.start_functions(clock=clock)]
            started[0].wait_until_ready()
            settings, store = stack.open_store(BACKOFF)
            for child in started[1:]:
                child.wait_until_ready()
        simulation = Simulation(
            story,
            rules,
            door=FrontDoor(stack.port, WRITE_KEY),
            store=store,
            clock=ClockFile(clock),
            settings=settings,
            check=supervisor.check,
            tail=started[-1].tail,
        )
        with terminal.step("Story"):
            simulation.play()
        steps = {name: len(rule.sends) for name, rule in rules.rules.items()}
        lines = inboxes.lines(simulation.decisions, steps, store, stack.mailbox)
        differences = None
        if expected is not None:
            of_the_story = (line.ending for line in lines if line.rule in story.rules)
            differences = playing.differ(Counter(expected), Counter(of_the_story))
        inbox = f"http://localhost:{stack.port}/inbox"
        yield Running(Told(story, lines, simulation.faults, differences, inbox), supervisor)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # whoever ends us wants no folder and no process left either
