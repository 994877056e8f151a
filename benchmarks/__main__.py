"""Runs the benchmarks and prints one table: `python -m benchmarks [name ...]`; all of them when none is named.

Every module of this package that has a `run` is one: it takes the file of events, and returns lines of the table.
"""

import argparse
import importlib
import logging
import pkgutil

import benchmarks
from benchmarks import events_file
from benchmarks.timing import HEADER


def main() -> None:
    """The command line."""
    logging.disable(logging.INFO)  # Beam tells everything that it does
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
    for name in names:
        print(runs[name](path), flush=True)


if __name__ == "__main__":
    main()
