"""The secret that digests addresses, as the pipeline comes by it."""

import logging
from functools import lru_cache

from tidings import settings
from tidings.adapters import secrets

_log = logging.getLogger(__name__)


@lru_cache(maxsize=8)
def resolve(option: str) -> str:
    """The secret; asked for once a process. Empty when there is none, which is said in the log.

    On one machine it comes from the environment, which other users cannot look into, unlike a command line. Dataflow
    sets no environment and shows every option, so there the option names a version in Secret Manager.

    Args:
        option: what `--secret` says: the secret itself, or `projects/P/secrets/S/versions/V`; empty for TIDINGS_SECRET.

    Raises:
        SettingsError: the version cannot be read. Nothing is processed then: an address that was erased would pass.
    """
    secret = option or settings.load().secret
    if secrets.is_name(secret):
        return secrets.read(secret)
    if not secret:
        what = "what comes late, or once more, of people and addresses that were erased is not recognised"
        _log.warning("no secret: %s (--secret, TIDINGS_SECRET)", what)
    return secret
