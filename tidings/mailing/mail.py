"""A mail that is ready to leave, and the one protocol of every door that it may leave by.

`tidings.mailing.message` makes the mail. The doors are `tidings.adapters.smtp`, and one file for each provider beside
it; `tidings.adapters.senders` opens the one that the settings name.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

SEND_ID = "tidings_send_id"
"""Under this name providers get the send id with a mail, and bring it back in what their webhooks report of it."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail, whole and in parts: some providers take the bytes, others want to put them together themselves.

    Attributes:
        send_id: the ledger's key. Providers get it as the idempotency key where they have one, and as metadata that
            their webhooks bring back.
        sender / recipient: the envelope's addresses, ASCII. The sender is where bounces go.
        data: the whole message, CRLF line ends, no line over 998 bytes.
        from_name / from_address / subject / html / text: as the person reads them.
        headers: those beside From, To, Subject, Date and the MIME ones: Message-ID, List-Unsubscribe, Feedback-ID, ...
        tags: what the provider may count by: `rule`, `category`, `kind`. Nothing personal.
    """

    send_id: str
    sender: str
    recipient: str
    data: bytes
    from_name: str
    from_address: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]
    tags: Mapping[str, str]


class Sender(Protocol):
    """A door that mail leaves by. Any number of threads may use it.

    Attributes:
        provider: `smtp`, `sendgrid`, `ses`, `mailgun` or `postmark`.
    """

    @property
    def provider(self) -> str:
        """See the class."""

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """Hand one mail over; returning means that the provider has taken it.

        `leave` is called once, when everything that can be known before is known (for SMTP: that the server has
        accepted sender and recipient) and nothing of the mail has left. What it raises ends the attempt without a
        mail, and reaches the caller as it is. It returns for how many seconds the mail itself may keep us.

        Raises:
            TemporaryError: it certainly was not taken, and may be later. Of these and of the last ones some say for
                how long the provider wants to be left alone.
            AddressError, DeadAddressError: the provider refuses the recipient.
            RefusedError: the provider refuses this mail.
            UnknownOutcomeError: it may have been taken: the connection broke, or stayed silent, after the mail had
                begun to leave.
        """

    def close(self) -> None:
        """Let go of connections."""
