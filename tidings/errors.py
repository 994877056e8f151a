"""Faults, named by whose fault they are, so that a caller knows what to do without reading the message.

No message carries an email address, a name or a token: messages end up in logs.
"""

from datetime import timedelta


class TidingsError(Exception):
    """The base of every fault that this project raises on purpose."""


class InvalidEventError(TidingsError):
    """The sender's fault: the event cannot be used. Dead-letter it; do not retry.

    Attributes:
        reason: a short snake_case code from a small closed set, safe as a metric label.
        detail: one sentence for a person, with the path of the field at fault.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InvalidRuleError(TidingsError):
    """The author's fault, of a rule or of `what`. `faults` holds every fault, each with its path and value."""

    def __init__(self, rule_id: str, faults: "list[dict[str, object]]", what: str = "rule") -> None:
        lines = "; ".join(f"{fault['path']}: {fault['reason']}".removeprefix(": ") for fault in faults)
        super().__init__(f"{what} {rule_id!r} is refused: {lines}")
        self.rule_id = rule_id
        self.faults = faults


class TemplateError(TidingsError):
    """The template author's fault: this message can never be rendered as it stands. Dead-letter and alert."""


class TemporaryError(TidingsError):
    """Nobody's fault for good: a network, a full queue, a mail server that says 4xx. Retry with backoff.

    Attributes:
        retry_after: for so long whoever says so wants to be left alone, by everybody; None if they did not say.
    """

    retry_after: timedelta | None = None


class AddressError(TidingsError):
    """The address's fault: the mail server refuses this recipient for good, or it is no address at all."""


class DeadAddressError(AddressError):
    """The address's fault, and it stays: there is no such mailbox or domain. Suppress it."""


class RefusedError(TidingsError):
    """The message's fault: the mail server refuses it for good, and the address may be fine. Dead-letter it."""


class UnknownOutcomeError(TemporaryError):
    """Nobody knows: the mail server had the mail and never said whether it took it. Never retry blindly."""


class PublishError(TemporaryError):
    """Pub/Sub did not take every message in time. The caller must not say that it did."""


class StoreError(TemporaryError):
    """The store cannot be reached, or two writers collided too often. Retry."""
