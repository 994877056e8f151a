"""May we write to this person? Pure: the records come in, the answer goes out, and no clock is read.

The rules behind it: GDPR article 7(3) (withdrawing is as easy as giving, and takes effect before the next mail) and
ePrivacy article 13 (no marketing mail without prior consent). Records are append-only; the latest one speaks.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from email_validator import EmailNotValidError, validate_email

from tidings.decisions import MailKind, Reason
from tidings.errors import InvalidEventError
from tidings.events import Event
from tidings.settings import SettingsError
from tidings.store import ConsentAction, ConsentRecord

MARKETING = "marketing"
"""The category that stands for all marketing mail."""

SALE_AND_SHARING = "sale_and_sharing"
"""Not a category of mail: the sale and sharing of personal data that `Sec-GPC: 1` objects to (CCPA, 11 CCR 7025)."""

TRACKING = "tracking"
"""Not a category of mail: seeing opens and clicks. Nobody need agree to it, and who withdraws it is not watched."""

_SPEAKS_OF_CONSENT: dict[str, ConsentAction] = {
    "Consent Given": "given",
    "Consent Confirmed": "confirmed",
    "Consent Withdrawn": "withdrawn",
    "Unsubscribed": "withdrawn",
}


def address_digest(address: str, secret: str) -> str:
    """The name under which an address is suppressed: it can be compared, and not be turned back into the address.

    Returns 64 hexadecimal characters, the HMAC-SHA256 of the normalised address (no space around it, its domain in
    Unicode, all of it case-folded: `Ann@EXAMPLE.com` and `ann@example.com` are one mailbox to us).

    Raises:
        SettingsError: there is no secret. Without one, anybody who guesses an address can check the guess.
    """
    return _digest(_normalised(address), secret)


def person_digest(person: str, secret: str) -> str:
    """The name under which it is remembered that a person was erased, when and why: nobody can tell from it whom.

    Returns 64 hexadecimal characters, the HMAC-SHA256 of the id (`u:<userId>`, `a:<anonymousId>`), which is taken as
    it stands. No address has the digest of a person.

    Raises:
        SettingsError: as `address_digest`.
    """
    return _digest(f"PERSON {person}", secret)  # a normalised address holds no capital letter


def _digest(text: str, secret: str) -> str:
    if not secret:
        raise SettingsError("TIDINGS_SECRET is not set")
    # What a broken address holds (lone surrogates, say) must not fail here: the codec's error would quote it.
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _normalised(address: str) -> str:
    address = address.strip()
    # What we would refuse is digested as it stands: a provider may well report it. `.test` counts as a domain too.
    with suppress(EmailNotValidError):
        address = validate_email(address, check_deliverability=False, test_environment=True).normalized
    return unicodedata.normalize("NFC", address.casefold())


def permission(kind: MailKind, category: str, records: Sequence[ConsentRecord]) -> Reason | None:
    """Why this person must not get this mail, or None when they may.

    Transactional mail needs no consent. For marketing mail the latest word on `category` counts, and where there is
    none, the latest word on `marketing`. A general yes does not undo the no to one category; a general no stops every
    category, until somebody says yes to one of them after it. At equal times no wins.
    """
    if kind == "transactional":
        return None
    said = latest(records)
    general, special = said.get(MARKETING), said.get(category)
    word = special or general
    if word is None:
        return "no_consent"
    if general and not general.given and general.at >= word.at:
        return "opted_out"
    return None if word.given else "opted_out"


def latest(records: Sequence[ConsentRecord]) -> dict[str, ConsentRecord]:
    """The latest word on each category; at equal times no wins."""
    words: dict[str, ConsentRecord] = {}
    for record in records:
        if _rank(record) >= _rank(words.get(record.category, record)):
            words[record.category] = record
    return words


def _rank(record: ConsentRecord) -> tuple[object, bool]:
    return record.at, not record.given


class _Properties(msgspec.Struct):
    category: str | None = None
    words: str | None = None
    words_version: str | None = None
    language: str | None = None
    source: str | None = None


_decoder = msgspec.json.Decoder(_Properties)


def from_event(event: Event) -> list[ConsentRecord]:
    """The consent that an event carries: `Consent Given`, `Consent Confirmed`, `Consent Withdrawn` and `Unsubscribed`.

    Other events carry none. Properties, all optional: `category` (`marketing`), `words` (shown to the person),
    `words_version`, `language`, `source` (`event`).
    Source of `Unsubscribed`: https://segment.com/docs/connections/spec/email/

    Raises:
        InvalidEventError: `bad_consent`, a property is there and is no text.
    """
    action = _SPEAKS_OF_CONSENT.get(event.event or "") if event.type == "track" else None
    if action is None:
        return []
    try:
        properties = _decoder.decode(event.properties)
    except msgspec.ValidationError as error:
        raise InvalidEventError("bad_consent", f"properties: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("bad_consent", f"properties: {type(error).__name__}") from None
    category = properties.category or MARKETING
    return [
        ConsentRecord(
            # The id says what was said, so that a sender who reuses a messageId cannot silence a withdrawal.
            record_id=f"{event.message_id}:{category}:{action}",
            person=event.person,
            category=category,
            action=action,
            at=event.timestamp,
            source=properties.source or "event",
            words=properties.words or "",
            words_version=properties.words_version or "",
            language=properties.language or "",
        )
    ]
