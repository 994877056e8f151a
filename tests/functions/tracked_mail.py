"""Mail with tracked links and a pixel, in the ledger, and whoever asks for them."""

from datetime import timedelta
from typing import Any

from werkzeug.test import Client, TestResponse

from tests.functions.mail_room import MailRoom, ago
from tests.sends import a_decision
from tidings.records.feedback import Feedback
from tidings.records.store import Letter
from tidings.tokens import Hit, sign_hit
from tidings.wire.decisions import Decision
from tidings.wire.events import Event

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
LINKS = (
    "https://shop.example/lamp?a=1&b=%20c&d=/x?y;z='q'|{w}#top?e=f&g",
    "https://shop.example/cart",
    "https://shop.example/help",
    "http://shop.example/",
)


def send(room: MailRoom, links: tuple[str, ...] = LINKS, minutes: float = 5, **fields: Any) -> Decision:
    """A mail to Ada that went out so many minutes ago, as the mailer leaves it in the ledger."""
    decision, at = a_decision(**fields), ago(minutes=minutes)
    held = room.store.claim(decision, at, timedelta(minutes=2)).entry
    room.store.hand_over(held, at, Letter(provider="smtp", subject="Your lamp", links=links))
    room.store.finish(held, "sent", at)
    return decision


def link(room: MailRoom, decision: Decision, number: int = 1) -> str:
    """The path of a tracked link in that mail, or of its pixel."""
    return f"/{'l' if number else 'o'}/{sign_hit(Hit(decision.send_id, number), room.settings.secret)}"


def visit(client: Client, path: str, method: str = "GET", **headers: str) -> TestResponse:
    """Open it with a browser, from Ada's address, unless the headers say otherwise."""
    given = {"User-Agent": CHROME, "X-Forwarded-For": "192.0.2.7"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return client.open(path, method=method, headers=given)


def kept(room: MailRoom) -> list[Feedback]:
    """Every hit that is in the store, the first one first."""
    return room.store.feedback("u:ada", origins=True)[::-1]


def said(event: Event) -> dict[str, Any]:
    """What an event says."""
    return {"name": event.event, "person": event.person, **event.read("properties")}
