"""The door to Amazon SNS: the certificates that its messages are signed with, and the word that we want them.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import ssl
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from tidings.errors import TemporaryError

CERTIFICATE_BYTES = 64_000


class Sns:
    """Fetches from Amazon. It trusts the caller to have looked at whose URL it is, and follows no redirect.

    Args:
        timeout: seconds that any single step may take.
        tls: who is trusted; by default whoever the system trusts.
    """

    def __init__(self, timeout: float = 5.0, tls: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._tls = tls or ssl.create_default_context()
        self._certificates: dict[str, bytes] = {}

    def confirm(self, url: str) -> None:
        """Visit the URL that confirms a subscription.

        Raises:
            TemporaryError: it could not be visited, or says that this did not work.
        """
        status, _ = self._get(url)
        if status != 200:
            raise TemporaryError(f"Amazon SNS did not take the confirmation: {status}")

    def certificate(self, url: str) -> bytes:
        """The PEM at a URL, fetched until it is there, and then kept; empty when there is none.

        Raises:
            TemporaryError: Amazon is away.
        """
        if url in self._certificates:
            return self._certificates[url]
        status, data = self._get(url)
        if status == 200:
            self._certificates[url] = data
            return data
        if 400 <= status < 500 and status != 429:
            return b""
        raise TemporaryError(f"Amazon SNS did not hand out the certificate: {status}")

    def _get(self, url: str) -> tuple[int, bytes]:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=self._timeout, context=self._tls)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(CERTIFICATE_BYTES)
        except (OSError, HTTPException) as error:
            raise TemporaryError(f"cannot talk to Amazon SNS: {type(error).__name__}") from None
        finally:
            connection.close()
