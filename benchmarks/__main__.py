"""Runs the benchmarks and prints one table: `python -m benchmarks [name ...]`; all of them when none is named.

Every module of this package that has a `run` is one: it takes the file of events, and returns lines of the table, or
sentences for below it.
"""

import argparse
import importlib
import logging
import os
import pkgutil
import platform
from datetime import UTC, datetime
from importlib import metadata

import benchmarks
from benchmarks import events_file
from benchmarks.timing import HEADER


def main() -> None:
    """The command line."""
    logging.disable(logging.WARNING)  # Beam tells everything that it does
    modules = {one.name: f"benchmarks.{one.name}" for one in pkgutil.iter_modules(benchmarks.__path__)}
    del modules["__main__"]
    found = {name: importlib.import_module(path) for name, path in modules.items()}
    runs = {name: module.run for name, module in found.items() if hasattr(module, "run")}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(runs))
    names = parser.parse_args().names or list(runs)
    if unknown := set(names) - set(runs):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(runs)}")
    path = events_file.ensure()
    print(HEADER, flush=True)
    sentences = [_machine()]
    for name in names:
        for line in runs[name](path).splitlines():
            if line.startswith("|"):
                print(line, flush=True)
            else:
                sentences.append(line)
    print("", *sentences, sep="\n")


def _machine() -> str:
    """What these figures hold for."""
    system = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    versions = f"Python {platform.python_version()}, Beam {metadata.version('apache-beam')}"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {system}, {versions}."


if __name__ == "__main__":
    main()
