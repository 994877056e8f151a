"""The bounded form on several processes: the file is divided by people, and each part is replayed on its own.

All ids of one person go into the same part, because what they did anonymously is theirs. Beam's own way to use several
processes, `--direct_running_mode=multi_processing`, sends every element through gRPC, which costs more than it gains.
"""

import gc
import multiprocessing
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from apache_beam import Pipeline
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from msgspec.structs import replace

from pipeline import graph, local_runner
from pipeline.options import PipelineSettings
from tidings.errors import TidingsError
from tidings.identity import JOINING

_METHOD = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


class PartFailedError(TidingsError):
    """A process has ended before its part was replayed. It has said why; nothing was written."""


class _Ids(msgspec.Struct, rename="camel"):
    """All that says whose a line is."""

    type: str = ""
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None


_decoder = msgspec.json.Decoder(_Ids)


def run(argv: Sequence[str] | None, settings: PipelineSettings) -> None:
    """Replay the input on as many processes as the settings say.

    Raises:
        PartFailedError: one of them failed.
    """
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


def run_one(argv: Sequence[str] | None, settings: PipelineSettings) -> None:
    """Replay the input, whole or a part, in this process."""
    options = PipelineOptions(argv)
    local_runner.prepare(options.view_as(StandardOptions).runner or "", settings)
    with Pipeline(options=options) as pipeline:
        graph.build(pipeline, settings)


def _replay_part(argv: Sequence[str] | None, settings: PipelineSettings, number: int, part: Path) -> None:
    """One of the processes."""
    write_part(settings.input, part, number, settings.processes)
    run_one(argv, replace(settings, input=str(part), output=str(part)))


def write_part(source: str, part: Path, number: int, count: int) -> None:
    """Write the lines of every `count`-th person to `part`, out of a file, or of all that a pattern names.

    All lines of one person have the same number, from 0 on; what is no event has any.
    """
    sources = [one.path for found in FileSystems.match([source]) for one in found.metadata_list]
    together = _ids_of_one_person(line for one in sources for line in FileSystems.open(one))
    with part.open("wb") as file:
        for line in (line for one in sources for line in FileSystems.open(one)):
            ids = _read(line)
            name = f"u:{ids.user_id}" if ids.user_id else f"a:{ids.anonymous_id}"
            if zlib.crc32(together.get(name, name).encode()) % count == number:
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
            ids = _read(line)
            other = ids.previous_id if ids.type == "alias" else ids.anonymous_id
            if ids.type in JOINING and ids.user_id and other:
                stands_for[head(f"a:{other}")] = head(f"u:{ids.user_id}")
    return {name: head(name) for name in stands_for}


def _read(line: bytes) -> _Ids:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the part that gets it sets it aside
        return _Ids()
