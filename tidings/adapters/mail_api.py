"""What the HTTP APIs of the providers have in common: one request for each mail, and what became of it, precisely."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import httpx

from tidings.errors import RefusedError, TemporaryError, TidingsError, UnknownOutcomeError
from tidings.mailing import retry_after

Verdicts = Sequence[tuple[str, type[TidingsError]]]
"""Whose fault an answer is: `<status> <the provider's own code, or ->`, the first match wins."""

COMMON: Verdicts = (
    # An error that the server admits to says nothing of how far it had come. Where a provider documents one that comes
    # before any work was done, its own table says so.
    (r"5\d\d .*", UnknownOutcomeError),
    (r"(400|413|415|422) .*", RefusedError),  # this request, whoever sends it
    (r"[34]\d\d .*", TemporaryError),  # a key, an account, a limit, a wrong host: the operator's to mend, or time's
    (r".*", UnknownOutcomeError),  # 2xx without what a provider says when it has taken a mail
)

BUSY = (429, 503)
"""With these, Retry-After is about whoever asks and not about one mail (RFC 6585 section 4, RFC 9110 15.6.4)."""

KEEP = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=20.0)
"""Connections wait for the next mail, but less long than any provider lets them: one that the provider drops in the
moment in which a request leaves would make a mail's outcome unknown."""


class MailApi:
    """One provider's API. Any number of threads may use it.

    Args:
        provider: for messages.
        base: where it is, such as `https://api.example.com`.
        verdicts: whose fault an answer is, before `COMMON` is asked.
        timeout: seconds to connect. How long the answer may take, `leave` says.
        auth / headers: go along with every request.
    """

    def __init__(
        self,
        provider: str,
        base: str,
        verdicts: Verdicts,
        timeout: float = 10.0,
        auth: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._provider = provider
        self._verdicts = (*verdicts, *COMMON)
        self._timeout = timeout
        self._client = httpx.Client(base_url=base, auth=auth, headers=headers, limits=KEEP, follow_redirects=False)

    def request(self, path: str, **content: object) -> httpx.Request:
        """Make the request of one mail; `content` is what `httpx.Client.build_request` takes."""
        return self._client.build_request("POST", path, **content)  # type: ignore[arg-type]

    def post(self, request: httpx.Request, leave: Callable[[], float]) -> httpx.Response:
        """Announce that the mail leaves, send the request once, and return the answer, whatever it is.

        Raises:
            TemporaryError: nobody was reached, so nothing has left.
            UnknownOutcomeError: the request began to leave, and no answer came back.
        """
        patience = max(leave(), 0.01)
        timeout = httpx.Timeout(connect=min(self._timeout, patience), read=patience, write=patience, pool=patience)
        request.extensions["timeout"] = timeout.as_dict()
        try:
            return self._client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            raise TemporaryError(f"cannot reach {self._provider}: {type(error).__name__}") from None
        except httpx.RequestError as error:
            raise UnknownOutcomeError(f"no answer from {self._provider}: {type(error).__name__}") from None

    def fault(self, answer: httpx.Response, code: object = "") -> TidingsError:
        """The error that an answer is.

        Its message has the status and the code, and none of the provider's words, which like to repeat addresses.
        """
        known = re.fullmatch(r"[\w.]{1,80}", str(code or ""))
        said = f"{answer.status_code} {known[0] if known else '-'}"
        kind = next(kind for pattern, kind in self._verdicts if re.fullmatch(pattern, said))
        fault = kind(f"{self._provider} says: {said}")
        if isinstance(fault, TemporaryError) and answer.status_code in BUSY:
            sent = retry_after.http_date(answer.headers.get("Date", "")) or datetime.now(UTC)
            fault.retry_after = retry_after.read(answer.headers.get("Retry-After", ""), sent)
        return fault

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def fields(answer: httpx.Response) -> dict[str, object]:
    """The JSON object that an answer holds; empty if it holds none."""
    try:
        body = answer.json()
    except ValueError:  # no JSON, or no text
        return {}
    return body if isinstance(body, dict) else {}
