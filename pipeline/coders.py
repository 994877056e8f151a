"""How our records cross Beam's shuffles: in their wire form, which outlives a change of the Python class."""

from typing import Any

import apache_beam as beam
from apache_beam.coders import Coder

from tidings.deciding import erasure, identity
from tidings.deciding.erasure import Erased
from tidings.deciding.identity import Handover
from tidings.wire import decisions, events
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

_HANDOVER, _ERASURE = b"handover ", b"erasure "


class EventCoder(Coder):
    """An event as the events topic carries it; a handover, which is an event with luggage, says that it is one.

    So does an erasure.
    """

    def encode(self, value: Event) -> bytes:
        """See `Coder`."""
        if isinstance(value, Erased):
            return _ERASURE + erasure.encode(value)
        return _HANDOVER + events.encode(value) if isinstance(value, Handover) else events.encode(value)

    def decode(self, encoded: bytes) -> Event:
        """See `Coder`."""
        if encoded.startswith(_HANDOVER):
            return identity.decode(encoded[len(_HANDOVER) :])
        if encoded.startswith(_ERASURE):
            return erasure.decode(encoded[len(_ERASURE) :])
        return events.decode(encoded)

    def is_deterministic(self) -> bool:
        """Equal events have equal bytes."""
        return True


class DecisionCoder(EventCoder):
    """A decision as the sends topic carries it."""

    def encode(self, value: Any) -> bytes:
        """See `Coder`."""
        return decisions.encode(value)

    def decode(self, encoded: bytes) -> Any:
        """See `Coder`."""
        return decisions.decode(encoded)


beam.coders.registry.register_coder(Event, EventCoder)
beam.coders.registry.register_coder(Decision, DecisionCoder)
