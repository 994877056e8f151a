"""Opens the door that the settings name: TIDINGS_MAIL_URL, whose scheme is the provider."""

from tidings.adapters.smtp import SmtpSender
from tidings.mail import Sender
from tidings.settings import Settings


def open_sender(settings: Settings) -> Sender:
    """The sender of these settings.

    Raises:
        SettingsError: no such provider, or its URL cannot be used. It is not quoted, because it may hold a password.
    """
    return SmtpSender(settings.mail_url)
