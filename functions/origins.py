"""Where a request came from, as the connection tells it."""

import ipaddress

import flask

from tidings.ingest.tracking import USER_AGENT_CHARACTERS
from tidings.records.feedback import Origin


def read(request: flask.Request) -> Origin:
    """The address and the browser's name, both as far as they can be believed: anybody may claim any of them."""
    return Origin(ip=_client_ip(request), user_agent=request.headers.get("User-Agent", "")[:USER_AGENT_CHARACTERS])


def _client_ip(request: flask.Request) -> str:
    """The first hop that a proxy names, and otherwise the other end of the connection."""
    first_hop = request.headers.get("X-Forwarded-For", "").partition(",")[0].strip()
    try:
        return str(ipaddress.ip_address(first_hop))
    except ValueError:
        return request.remote_addr or ""
