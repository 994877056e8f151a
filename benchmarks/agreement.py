"""Before anything is timed: every program comes to the same firings as a slow and obvious recount."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import orjson

from benchmarks import bounded, streaming
from benchmarks.events_file import UNTIL
from benchmarks.five_rules import brute_force, core, firings, handwritten
from benchmarks.five_rules.firings import Firing


def run(path: Path) -> str:
    """A sentence.

    Raises:
        SystemExit: somebody disagrees, so there is nothing worth measuring.
    """
    lines = path.read_bytes().splitlines()
    expected = brute_force.recount(lines, UNTIL)
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "by hand": sorted(handwritten.run(lines, UNTIL)),
            "core": firings.of_decisions(core.run(core.engine(), lines, UNTIL)),
            "bounded": firings.of_decisions(bounded.decide(path, Path(folder) / "bounded")),
            "live": firings.of_decisions(streaming.decide(path, Path(folder) / "live")),
        }
        if find_spec("bytewax"):
            from benchmarks.five_rules import bytewax_flow  # noqa: PLC0415 - only when it is installed

            flow = Path(folder) / "flow.jsonl"
            bytewax_flow.run(path, flow, UNTIL)
            found["bytewax"] = sorted(Firing(**orjson.loads(line)) for line in flow.read_bytes().splitlines())
    for name, its in found.items():
        if its != expected:
            missing, extra = set(expected) - set(its), set(its) - set(expected)
            raise SystemExit(f"{name}: {len(missing)} firings missing, {len(extra)} too many, of {len(expected)}")
    return f"{len(expected):,} firings: brute force and {', '.join(found)} agree on every one."
