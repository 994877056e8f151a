"""What Beam's local runners need to be told, and have no option for."""

from apache_beam.runners.portability.fn_api_runner import worker_handlers


def prepare() -> None:
    """Switch off the FnApiRunner's state cache.

    Its sizer walks every loaded module on each access, which costs around a millisecond, many times what it saves
    (`apache_beam.runners.worker.statecache`, Beam 2.77). Other runners do not look at this value.
    """
    worker_handlers.STATE_CACHE_SIZE_MB = 0
