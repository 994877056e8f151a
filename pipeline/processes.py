"""The bounded form on several processes: the file is divided by people, and each part is replayed on its own.

All ids of one person go into the same part, because what they did anonymously is theirs. Beam's own way to use several
processes, `--direct_running_mode=multi_processing`, sends every element through gRPC, which costs more than it gains.
"""

import gc
import logging
import multiprocessing
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from apache_beam import Pipeline
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from msgspec.structs import replace

from pipeline import graph, local_runner
from pipeline.options import PipelineSettings
from tidings import events, identity
from tidings.errors import InvalidEventError, TidingsError

_METHOD = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


class PartFailedError(TidingsError):
    """A process has ended before its part was replayed. It has said why; nothing was written."""


class _Ids(msgspec.Struct, rename="camel"):
    """All of an event that says whose it is, where there is no need to read the rest."""

    user_id: str | None = None
    anonymous_id: str | None = None


_decoder = msgspec.json.Decoder(_Ids)


def run(argv: Sequence[str] | None, settings: PipelineSettings) -> None:
    """Run the pipeline until its input ends, on as many processes as the settings say.

    Raises:
        PartFailedError: one of several failed.
    """
    if settings.processes == 1:
        _run_here(argv, settings)
    else:
        _run_divided(argv, settings)


def _run_here(argv: Sequence[str] | None, settings: PipelineSettings) -> None:
    options = PipelineOptions(argv)
    local_runner.prepare(options.view_as(StandardOptions).runner or "", settings)
    pipeline = Pipeline(options=options)
    graph.build(pipeline, settings)
    result = pipeline.run()
    logging.getLogger("pipeline").info("pipeline is running")
    result.wait_until_finish()


def _run_divided(argv: Sequence[str] | None, settings: PipelineSettings) -> None:
    context: Any = multiprocessing.get_context(_METHOD)
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(folder, f"part-{number}") for number in range(settings.processes)]
        workers = [
            context.Process(target=_replay_part, args=(argv, settings, number, part))
            for number, part in enumerate(parts)
        ]
        gc.freeze()  # so that the collector of a forked process does not touch, and so copy, all that is here
        for worker in workers:
            worker.start()
        gc.unfreeze()
        for worker in workers:
            worker.join()
        if failed := sum(worker.exitcode != 0 for worker in workers):
            raise PartFailedError(f"{failed} of {len(workers)} processes failed; nothing was written")
        for name in (graph.DECISIONS, graph.DEAD_LETTERS):
            with FileSystems.create(settings.output + name) as whole:
                for part in parts:
                    with Path(f"{part}{name}").open("rb") as file:
                        shutil.copyfileobj(file, whole)


def _replay_part(argv: Sequence[str] | None, settings: PipelineSettings, number: int, part: Path) -> None:
    """One of the processes."""
    write_part(settings.input, part, number, settings.processes)
    _run_here(argv, replace(settings, input=str(part), output=str(part)))


def write_part(source: str, part: Path, number: int, count: int) -> None:
    """Write the lines of every `count`-th person to `part`, out of a file, or of all that a pattern names.

    All lines of one person have the same number, from 0 on; what is no event has any.
    """
    sources = [one.path for found in FileSystems.match([source]) for one in found.metadata_list]
    together = _ids_of_one_person(line for one in sources for line in FileSystems.open(one))
    with part.open("wb") as file:
        for line in (line for one in sources for line in FileSystems.open(one)):
            person = _person(line)
            if zlib.crc32(together.get(person, person).encode()) % count == number:
                file.write(line if line.endswith(b"\n") else line + b"\n")


def _ids_of_one_person(lines: Iterable[bytes]) -> dict[str, str]:
    """Id -> the one that stands for all of them, for every id that was joined to another."""
    stands_for: dict[str, str] = {}

    def head(name: str) -> str:
        while (other := stands_for.get(name, name)) != name:
            name = other
        return name

    for line in lines:
        if b'"identify"' in line or b'"alias"' in line:  # quickly, because nearly all others are not
            with suppress(InvalidEventError):  # the part that gets it sets it aside
                event = events.decode(line)
                if other := identity.joins(event):
                    stands_for[head(other)] = head(event.person)
    return {name: head(name) for name in stands_for}


def _person(line: bytes) -> str:
    try:
        ids = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the part that gets it sets it aside
        return ""
    return events.person_key(ids.user_id, ids.anonymous_id)
