"""Every counter of the pipeline, what it means, and what to do about it."""

from typing import Any, Literal

from apache_beam.metrics import Metrics

Name = Literal[
    "events_decoded",  # events that were read and understood
    "dead_letters",  # messages that cannot be used: look into the dead-letters topic for the reason
    "duplicates",  # events seen before within a day: normal, SDKs retry
    "decisions",  # decisions taken, of whatever outcome
    "handed_over",  # anonymous ids whose history went to the person that they joined
    "followed",  # events of such ids that came later and went to the person too: normal, a few
    "erased",  # ids of which everything was forgotten, because somebody asked for erasure
    "erased_events",  # events of such people that were on their way when they were erased
    "erased_addresses",  # addresses of erased people that somebody brought again, and that were not let in
    "type_mismatches",  # a rule met a value of the wrong type: mend the rule or the sender
    "crowded_out",  # entry keys forgotten, because one person had over 200 at a time: a robot, or no good entry_key
    "failed_wakes",  # our fault: what falls due for a person could not be decided and is tried again in an hour
    "drained_timers",  # timers that fired before their time because the job was drained: update, do not drain
]


def counter(name: Name) -> Any:
    """A Beam counter in the namespace `tidings`."""
    return Metrics.counter("tidings", name)
