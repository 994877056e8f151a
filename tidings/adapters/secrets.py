"""The door to Secret Manager, for a process whose command line others can read, and whose environment nobody sets.

Source: https://cloud.google.com/secret-manager/docs/access-secret-version
"""

import re

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud.secretmanager import SecretManagerServiceClient

from tidings.settings import SettingsError

_NAME = re.compile(r"projects/[^/\s]+/secrets/[^/\s]+/versions/[^/\s]+")


def is_name(text: str) -> bool:
    """Whether this names a version of a secret, `projects/P/secrets/S/versions/V`, and is not the secret itself."""
    return _NAME.fullmatch(text) is not None


def read(name: str, client: SecretManagerServiceClient | None = None, timeout: float = 60.0) -> str:
    """The secret that a version holds.

    Args:
        name: see `is_name`.
        client: None for one with the application default credentials.
        timeout: seconds; until then a service that is away is asked again.

    Raises:
        SettingsError: it cannot be read; the message says why, and never what it holds.
    """
    try:
        client = client or SecretManagerServiceClient()
        answer = client.access_secret_version(name=name, timeout=timeout)
        return answer.payload.data.decode()
    except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
        raise SettingsError(f"{name} cannot be read: {type(error).__name__}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is no text") from None
