"""Whose fault it is that a mail came back. One table for SMTP answers, bounce mails and providers' webhooks.

Suppressing an address is for good, so it takes a firm word that there is no such mailbox. A mailbox that is full, a
policy, a suspicion of spam: the next mail may pass, and the person may miss it badly if it is never sent.
Source: RFC 3463, and the registry at https://www.iana.org/assignments/smtp-enhanced-status-codes.
"""

import re
from typing import Literal

Verdict = Literal[
    "dead_address",  # there is no such mailbox or domain, and there will be none: suppress it
    "address",  # something is wrong with this address, perhaps not for ever
    "refused",  # this mail, or its sender, was refused; the address may be fine
    "temporary",  # nobody refused anything for good
]

_FIRM: tuple[tuple[str, Verdict], ...] = (
    (r"4\.\d+\.\d+", "temporary"),
    (r"5\.1\.(1|2|3|6|10)", "dead_address"),  # no mailbox, no domain, bad syntax, moved away, null MX
    (r"5\.1\.[78]", "refused"),  # these two of 5.1 are about the sender
    (r"5\.2\.2", "address"),  # the mailbox is full, which says nothing against the mail
    (r"5\.2\.3", "refused"),  # this mail is too large for it
    (r"5\.[67]\.\d+", "refused"),  # content; policy: spam, authentication, reputation
)
"""What these say is not overruled by a provider's own word for it."""

_OPEN: tuple[tuple[str, Verdict], ...] = (
    (
        r"5\.[12]\.\d+",
        "address",
    ),  # 5.2.1 as well: Gmail says it of closed accounts, and of those that get too much mail
    # No route to the domain, no such domain; nobody answers, which Microsoft says of people whom it does not know.
    (r"5\.4\.(1|4|310)", "address"),
    (r"5\.\d+\.\d+", "refused"),
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")


def classify(status: str, hint: Verdict | None = None) -> Verdict | None:
    """What a failure means, or None when nothing is known.

    Args:
        status: the enhanced status code, such as `5.1.1`; empty when there is none.
        hint: what the provider makes of it. It decides where the status says little, as 5.0.0 does.
    """
    for pattern, verdict in _FIRM:
        if re.fullmatch(pattern, status):
            return verdict
    if hint is not None:
        return hint
    return next((verdict for pattern, verdict in _OPEN if re.fullmatch(pattern, status)), None)


def status_in(text: str) -> str:
    """The first enhanced status code in what a mail server said (`smtp; 550 5.1.1 ...`); empty when there is none."""
    found = _STATUS.search(text[:2000])
    return found[1] if found else ""
