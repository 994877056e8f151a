"""What Beam's local runners need to be told, and have no option for."""

from apache_beam.runners.portability.fn_api_runner import worker_handlers

from pipeline import local_pubsub, rulebooks
from pipeline.options import PipelineSettings


def prepare(runner: str, settings: PipelineSettings) -> None:
    """Get the process ready, if `runner` is one that runs in it.

    The DirectRunner reads Pub/Sub honestly (see `local_pubsub`), and watches the rules even before the first event.
    The FnApiRunner gets no state cache: the cache's sizer walks every loaded module on each access, which costs around
    a millisecond, many times what it saves (`apache_beam.runners.worker.statecache`, Beam 2.77).
    """
    worker_handlers.STATE_CACHE_SIZE_MB = 0
    local_pubsub.install()
    if runner == "BundleBasedDirectRunner" and settings.rules.store:
        rulebooks.engine(settings.rules)
