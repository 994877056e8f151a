"""Plays one story against the running parts, and stands where Beam stands: its watermark is the story's own clock.

Beam's local runner knows no time but the wall's. So what the pipeline does with a message is done here, by the same
functions of the core: the store is told first, then the engine; what belongs to another id goes round through the
events topic; decisions go to the sends topic, and how they ended comes back as an event. Before each step of anybody,
in the order of time, the clock is set; the step is over when the mailer has said how its decisions end.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from tidings.adapters.pubsub import Message, Publisher, pull
from tidings.deciding import identity
from tidings.deciding.bookkeeping import GRACE, News, activity_of_decision, activity_of_event
from tidings.deciding.engine import Engine, Fault, Outcome
from tidings.deciding.state import PersonState
from tidings.errors import TidingsError
from tidings.feedback.email_events import of_ending
from tidings.ingest import intake
from tidings.ingest.tracking import OUR_OWN
from tidings.local import topology
from tidings.local.clock_file import ClockFile
from tidings.local.front_door import ClosedDoorError, FrontDoor
from tidings.mailing import ledger
from tidings.records.store import ConsentRecord, ProfileUpdate, Store
from tidings.rollout.rule_set import RuleSet
from tidings.rules.kinds.base import NEVER
from tidings.settings import Settings
from tidings.simulating.playing import acquainted
from tidings.simulating.stories import Story
from tidings.wire import topics
from tidings.wire.decisions import Decision
from tidings.wire.events import Event, instant, millis, receipt

PATIENCE_SECONDS = 30.0
"""How long the machinery may take for one step."""
LOOK_SECONDS = 0.005


class SimulationError(TidingsError):
    """A part did not do what it is there for; the message says where to look."""


class Simulation:
    """One story, played once.

    Args:
        story: what happens.
        rules: those that run.
        door: where events are posted.
        store: of the parts.
        clock: what the functions read the time from.
        settings: the names of topics.
        check: called on every look; may raise to end the wait.
        tail: the end of the functions' log, for whoever must find out why they do not answer.

    Attributes:
        decisions: what was decided, in order.
        faults: what a rule could not read.
    """

    def __init__(
        self,
        story: Story,
        rules: RuleSet,
        *,
        door: FrontDoor,
        store: Store,
        clock: ClockFile,
        settings: Settings,
        check: Callable[[], None],
        tail: Callable[[], str],
    ) -> None:
        book = rules.book()
        self.decisions: list[Decision] = []
        self.faults: list[Fault] = []
        self._story = story
        self._engine = Engine(book)
        self._people = acquainted(story, book)
        self._waiting: list[Decision] = []
        self._on_their_way: Counter[str] = Counter()  # messageIds of events, as often as they are to come
        self._now = 0
        self._door = door
        self._store = store
        self._clock = clock
        self._settings = settings
        self._publisher = Publisher(settings.project)
        self._check = check
        self._tail = tail

    def play(self) -> None:
        """From what is known of people before, to the story's last instant and the end of what was decided by then.

        Raises:
            SimulationError: a part does not answer, or refuses an event.
            PublishError, StoreError, PartError: a part is away.
        """
        self._introduce()
        for event in sorted(self._story.events, key=receipt):
            self._advance(millis(event.received_at))
            self._happen(event)
        self._advance(millis(self._story.until) + 1)
        while self._waiting:
            self._give_up_waiting()

    def _introduce(self) -> None:
        """Tell the store whom we know. The engine knows already (`tidings.simulating.playing.acquainted`)."""
        since = self._story.known_since
        for who, person in self._story.people.items():
            traits = person.known_as(who) | ({"timezone": person.time_zone} if person.time_zone else {})
            self._store.update_profiles([ProfileUpdate(person=f"u:{who}", at=since, traits=traits)])
            self._store.record_consent(
                [
                    ConsentRecord(
                        record_id=f"before:{category}",
                        person=f"u:{who}",
                        category=category,
                        action="given",
                        at=since,
                        source="import",
                    )
                    for category in person.consents
                ]
            )

    # --- time

    def _advance(self, until: int) -> None:
        """Everything that time brings about, up to and with this instant, one thing after another."""
        while True:
            key = min(self._people, key=lambda one: self._people[one].wake_at, default="")
            wake_at = self._people[key].wake_at if key else NEVER
            give_up_at = min((millis(one.decided_at + GRACE) for one in self._waiting), default=NEVER)
            if min(wake_at, give_up_at) > until:
                return
            if give_up_at <= wake_at:
                self._give_up_waiting()
            else:
                self._set_clock(wake_at)
                self._heed(self._engine.wake(self._people[key], wake_at))
                self._take_what_comes()

    def _set_clock(self, now: int) -> None:
        self._now = max(now, self._now)  # the mailer may have waited for longer than the rules
        self._clock.set(instant(self._now))

    # --- events

    def _happen(self, event: Event) -> None:
        """An event is received: post it, and be the pipeline until all that comes of it is done."""
        now = millis(event.received_at)
        self._set_clock(now)
        if event.event in OUR_OWN:  # the front door takes these from nobody
            self._publisher.publish(self._settings.events_topic, [topics.of_event(event)])
        else:
            self._post(event)
        self._on_their_way[event.message_id] += 1
        self._take_what_comes()
        self._ask_again()

    def _post(self, event: Event) -> None:
        try:
            self._door.send(event.type, _on_the_wire(event))
        except ClosedDoorError as error:
            raise SimulationError(f"{event.message_id} of the story: {error}") from None

    def _take_what_comes(self) -> None:
        """Be the pipeline until nothing is on its way. What comes twice is taken twice: the engine knows repeats."""
        while self._on_their_way.total():
            message = self._pull()
            event = intake.read_message(message.data, message.attributes)
            self._on_their_way -= Counter([event.message_id])
            self._take(event, self._now)

    def _pull(self) -> Message:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            subscription = topology.events_subscription(self._settings)
            if found := pull(self._settings.project, subscription, max_messages=1):
                return found[0]
            self._check()
        raise SimulationError(f"An event did not come through the events topic.{self._tail()}")

    def _take(self, event: Event, now: int) -> None:
        """What the pipeline does with an event."""
        news = News()
        news.note(event)
        news.write(self._store)
        self._store.append_activity([activity_of_event(event)])
        onward: list[Event] = []
        for key in identity.addressees(event):
            known = self._people.setdefault(key, PersonState(key))
            outcome, to_others = identity.take(self._engine, known, event, now)
            self._heed(outcome)
            onward += to_others
        if onward:
            messages = [Message(*identity.message(one)) for one in onward]
            self._on_their_way.update(one.message_id for one in onward)
            self._publisher.publish(self._settings.events_topic, messages)

    # --- decisions

    def _heed(self, outcome: Outcome) -> None:
        """Publish what was decided, and see it through."""
        self.faults += outcome.faults
        for decision in outcome.decisions:
            self.decisions.append(decision)
            self._store.append_activity([activity_of_decision(decision)])
            message = topics.of_decision(decision)
            self._publisher.publish(self._settings.sends_topic, [message])
            if not self._has_ended(decision, attempts=0):
                self._waiting.append(decision)

    def _give_up_waiting(self) -> None:
        """The mailer waits no longer for what the oldest decision lacks."""
        oldest = min(self._waiting, key=lambda one: one.decided_at)
        self._set_clock(millis(oldest.decided_at + GRACE))
        self._ask_again()

    def _ask_again(self) -> None:
        """See what the mailer says now of those that wait for an address. It is asked again by itself, all the time."""
        entries = {one.send_id: self._store.ledger_entry(one.send_id) for one in self._waiting}
        attempts = {send_id: entry.attempts if entry else 0 for send_id, entry in entries.items()}
        self._waiting = [one for one in self._waiting if not self._has_ended(one, attempts[one.send_id])]
        self._take_what_comes()

    def _has_ended(self, decision: Decision, attempts: int) -> bool:
        """Wait for the mailer. False when it has put the decision off, in a later attempt than this one.

        What waits for a limit or for `tidings sending resume` has ended as far as the story goes.

        Raises:
            SimulationError: it says nothing.
        """
        now, deadline = instant(self._now), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            entry = self._store.ledger_entry(decision.send_id)
            if entry is not None and (entry.status in ledger.FINAL or entry.status == "waiting"):
                told = of_ending(entry)
                self._on_their_way.update([told.message_id] if told else [])
                return True
            is_free = entry is not None and entry.status == "claimed" and entry.lease_until <= entry.updated_at
            if entry is not None and is_free and entry.attempts > attempts and now < decision.decided_at + GRACE:
                return False
            self._check()
            time.sleep(LOOK_SECONDS)
        raise SimulationError(
            f"The mailer did not say within {PATIENCE_SECONDS:.0f} s how {decision.rule_id} of "
            f"{self._story.when(decision.due_at)} ends.{self._tail()}"
        )


def _on_the_wire(event: Event) -> dict[str, Any]:
    """The event as an SDK posts it: sent when it is received, and made when it happened."""
    fields: dict[str, Any] = {
        "messageId": event.message_id,
        "userId": event.user_id,
        "anonymousId": event.anonymous_id,
        "previousId": event.previous_id,
        "event": event.event,
        "name": event.name,
        **event.objects,
    }
    said = {name: value for name, value in fields.items() if value not in (None, {})}
    said |= {"originalTimestamp": event.timestamp.isoformat(), "sentAt": event.received_at.isoformat()}
    plain: dict[str, Any] = msgspec.to_builtins(said)
    return plain
