"""Runs a module as `python -m` would, and ends it when the process that started it is gone, however that died.

`python -m tidings.local.leash <module> [arguments]`. Standard input is the leash: a pipe whose other end only the
starter holds. The kernel closes that end when the starter ends, even by SIGKILL, on every Unix.
A module that hangs can be asked where: `kill -USR1` makes it write the stack of every thread into its log.
"""

import faulthandler
import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 15.0
"""How long a module may take to end by itself."""


def main() -> None:
    """The command line."""
    leash = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the module and its children shall not read from the leash
    os.close(nothing)
    faulthandler.register(signal.SIGUSR1)
    threading.Thread(target=_end_with_the_starter, args=(leash,), daemon=True, name="leash").start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_the_starter(leash: int) -> None:
    while os.read(leash, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
