"""What browser SDKs ask for before they send anything: where to post, and that there is nothing else to load.

Segment's SDK reads `GET <cdnURL>/v1/projects/<write key>/settings`, RudderStack's `GET <configUrl>/sourceConfig/`.
"""

import flask


def segment(write_key: str, request: flask.Request) -> dict[str, object]:
    """Settings for @segment/analytics-next: one destination, and that is this server under the name the client used."""
    protocol = "https" if request.headers.get("X-Forwarded-Proto", "").startswith("https") else request.scheme
    api_host = f"{request.host}{request.root_path.rstrip('/')}/v1"
    return {
        "integrations": {"Segment.io": {"apiKey": write_key, "apiHost": api_host, "protocol": protocol}},
        "metrics": {"sampleRate": 0},
    }


def rudder(write_key: str) -> dict[str, object]:
    """A source without destinations, whose SDK reports neither errors nor metrics to anybody."""
    quiet = {"errors": {"enabled": False}, "metrics": {"enabled": False}}
    return {
        "source": {
            "id": "tidings",
            "name": "tidings",
            "writeKey": write_key,
            "enabled": True,
            "workspaceId": "tidings",
            "config": {"statsCollection": quiet},
            "connections": [],
            "destinations": [],
        },
        "updatedAt": "1970-01-01T00:00:00.000Z",
    }
