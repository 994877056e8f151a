"""Ada at her preference centre: the link to it, what it shows, and what she saves."""

import html
import re
from typing import Any

from werkzeug.test import Client, TestResponse

from tests.functions.mail_room import MailRoom
from tests.sends import a_decision
from tidings.permission import choices
from tidings.permission.consent import permission
from tidings.tokens import Preferences, sign_preferences

PHONE = {"User-Agent": "Mozilla/5.0 (iPhone)", "X-Forwarded-For": "192.0.2.7"}


def link(room: MailRoom, person: str = "u:ada") -> str:
    """The path of a person's preference centre."""
    return "/p/" + sign_preferences(Preferences(person, a_decision().send_id), room.settings.secret)


def boxes(page: TestResponse) -> dict[str, bool]:
    """The kinds of mail on a page, and which are ticked."""
    found = re.findall(r'<input type="checkbox" id="[a-z0-9-]+" name="want" value="([^"]*)"( checked)?', page.text)
    return {html.unescape(value): bool(checked) for value, checked in found}


def value(category: str) -> str:
    """What stands for it in the form."""
    return choices.Choice(category, "", "", "", "", "", on=True).value


def save(
    client: Client, path: str, *, on: tuple[str, ...] = (), off: tuple[str, ...] = (), **headers: str
) -> TestResponse:
    """Open the page, tick and untick, and save, as a browser does it."""
    page = client.get(path, headers=headers)
    was = re.findall(r'<input type="hidden" name="was" value="([^"]*)"', page.text)
    was = [re.sub(r"\r\n|\r|\n", "\r\n", html.unescape(one)) for one in was]  # as a browser gives it back
    [version] = re.findall(r'name="version" value="([0-9a-f]+)"', page.text)
    wanted = ({kind for kind, ticked in boxes(page).items() if ticked} | set(on)) - set(off)
    form: dict[str, Any] = {"choice": "save", "version": version, "was": was}
    return client.post(path, data={**form, "want": sorted(wanted)}, headers=headers)


def may(room: MailRoom, category: str) -> bool:
    """Whether the mailer would send Ada marketing mail of this category."""
    return permission("marketing", category, room.store.consent("u:ada")) is None


def notices(page: TestResponse) -> str:
    """What the page says that it has done."""
    [found] = re.findall(r'<div class="done" role="status">(.*?)</div>', page.text, re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", found).split()))
