"""TIDINGS_MAIL_URL in its parts. The scheme names the provider; what the rest means is the provider's adapter's."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from tidings.settings import SettingsError

_SAYABLE = re.compile(r"([!-~]+( +[!-~]+)*)?")


class MailUrl(msgspec.Struct, frozen=True):
    """The parts, unquoted.

    Attributes:
        scheme: `smtp`, `sendgrid`, ..., without the `+http` of `plain`.
        plain: the API is spoken to without TLS: a stand-in for it on this machine.
        port: None for the usual one.
        path: what is between slashes, without empty parts.
        options: what comes after the question mark.
    """

    scheme: str
    plain: bool
    user: str
    password: str
    host: str
    port: int | None
    path: tuple[str, ...]
    options: Mapping[str, str]

    def base(self, usual_host: str) -> str:
        """Where the API is, such as `https://api.example.com`."""
        host = f"[{self.host}]" if ":" in self.host else self.host or usual_host
        port = f":{self.port}" if self.port else ""
        return f"{'http' if self.plain else 'https'}://{host}{port}"


def read(url: str) -> MailUrl:
    """Take the URL apart.

    Raises:
        SettingsError: it cannot be read. It is not quoted, because it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise SettingsError("TIDINGS_MAIL_URL cannot be read") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    # A `#` that nobody has quoted cuts a password in two. No protocol of ours can say what is not printable ASCII, and
    # the libraries that speak them quote it when they fail.
    if parts.fragment or not all(_SAYABLE.fullmatch(word) for word in (user, password, host, *options.values())):
        raise SettingsError(
            "TIDINGS_MAIL_URL cannot be used: quote what is no letter or digit in it; only printable ASCII can be sent"
        )
    return MailUrl(
        scheme=parts.scheme.removesuffix("+http"),
        plain=parts.scheme.endswith("+http"),
        user=user,
        password=password,
        host=host,
        port=port,
        path=tuple(unquote(part) for part in parts.path.split("/") if part),
        options=options,
    )


def refuse_unknown_options(url: MailUrl, known: Collection[str]) -> None:
    """An option that nobody reads is a misspelt one.

    Raises:
        SettingsError: there is one.
    """
    if set(url.options) - set(known):
        raise SettingsError(f"TIDINGS_MAIL_URL may have the options: {', '.join(known) or 'none'}")
