"""The unsubscribe link of a mail to Ada, and how it stands with her."""

import re
from typing import Any

import flask
from werkzeug.test import TestResponse

from tests.functions.mail_room import MailRoom
from tests.sends import a_decision
from tidings.mailing.links import unsubscribe_url
from tidings.permission.consent import permission

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(room: MailRoom, **fields: Any) -> str:
    """The path of the unsubscribe link in the mail of a decision about Ada, in category `reminders`."""
    return unsubscribe_url(a_decision(**fields), room.settings).removeprefix(room.settings.public_url)


def refusal(room: MailRoom, category: str = "reminders") -> str | None:
    """Why Ada gets no marketing mail of this category now, or None when she does."""
    return permission("marketing", category, room.store.consent("u:ada"))


def buttons(response: flask.Response | TestResponse) -> dict[str, str]:
    """The choices that a page offers, with their words."""
    found = re.findall(
        r'<button type="submit" name="choice" value="([a-z_]+)"[^>]*>([^<]+)</button>', response.get_data(as_text=True)
    )
    return dict(found)
