"""May we write to this person? Pure: the records come in, the answer goes out, and no clock is read.

The rules behind it: GDPR article 7(3) (withdrawing is as easy as giving, and takes effect before the next mail) and
ePrivacy article 13 (no marketing mail without prior consent). Records are append-only; the latest one speaks.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from email_validator import EmailNotValidError, validate_email

from tidings.errors import InvalidEventError
from tidings.records.feedback import Origin
from tidings.records.store import ConsentAction, ConsentRecord
from tidings.settings import SettingsError
from tidings.wire.decisions import MailKind, Reason
from tidings.wire.events import Event, millis

MARKETING = "marketing"
"""The category that stands for all marketing mail."""

MAIL = "email"
"""The channel that all of this is about. What is said of another one is recorded, and means nothing to mail."""

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
NAMES = _SPEAKS_OF_CONSENT.keys()
"""The events that carry consent."""


_MARKER = "suppressed:"


def address_digest(address: str, secret: str) -> str:
    """The name under which an address is suppressed: it can be compared, and not be turned back into the address.

    Returns 64 hexadecimal characters, the HMAC-SHA256 of the normalised address (no space around it, its domain in
    Unicode, all of it case-folded: `Ann@EXAMPLE.com` and `ann@example.com` are one mailbox to us).

    Raises:
        SettingsError: there is no secret. Without one, anybody who guesses an address can check the guess.
    """
    return _digest(_normalised(address), secret)


def erased_marker(digest: str) -> str:
    """What stands in the place of an address whose owner was erased, when somebody brings it once more.

    Args:
        digest: of the address, as `address_digest` returns it.
    """
    return _MARKER + digest


def is_erased(value: object) -> bool:
    """Whether this is an `erased_marker`, and no address."""
    return isinstance(value, str) and bool(re.fullmatch(f"{_MARKER}[0-9a-f]{{64}}", value))


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


def permission(
    kind: MailKind, category: str, records: Sequence[ConsentRecord], *, double_opt_in: bool = False
) -> Reason | None:
    """Why this person must not get this mail, or None when they may.

    Transactional mail needs no consent. For marketing mail the latest word on `category` counts, and where there is
    none, the latest word on `marketing`; see `objection` for how the two go together. At equal times no wins.

    Args:
        kind: of the mail.
        category: of the mail.
        records: of the person, in any order.
        double_opt_in: whether the category asks for a yes that was confirmed from the mailbox itself
            (`tidings.permission.categories`). A no, to the category or to `marketing`, overturns what was confirmed
            before it: anybody could have typed the address into the form once more.
    """
    if kind == "transactional":
        return None
    said = last_words(records)
    if MARKETING not in said and category not in said:
        return "no_consent"
    if objection(said, category):
        return "opted_out"
    return "no_consent" if double_opt_in and not _is_confirmed(category, records) else None


def said_for(address_digest: str, records: Sequence[ConsentRecord]) -> list[ConsentRecord]:
    """The records that count for mail to an address: what another mailbox has confirmed is no word of this one.

    Args:
        address_digest: of the address that mail for the person goes to.
        records: of the person.
    """
    return [one for one in records if one.mailbox in ("", address_digest)]


def objection(words: Mapping[str, tuple[int, bool]], category: str) -> tuple[str, int] | None:
    """The no that stands against mail of a category: to what, and since when. None while none does.

    A general yes does not undo the no to one category; a general no stops every category, until somebody says yes to
    one of them after it.

    Args:
        words: category -> the latest word on it: when, in milliseconds, and whether it is a no.
        category: of the mail.
    """
    general, special = words.get(MARKETING), words.get(category)
    if general and general[1] and not (special and special[0] > general[0]):
        return MARKETING, general[0]
    return (category, special[0]) if special and special[1] else None


def last_words(records: Sequence[ConsentRecord]) -> dict[str, tuple[int, bool]]:
    """The latest word on each category of mail, as `objection` and `PersonState.consent` have it."""
    return {category: _rank(record) for category, record in latest(records).items()}


def latest(records: Sequence[ConsentRecord]) -> dict[str, ConsentRecord]:
    """The latest word on each category of mail; at equal times no wins. Other channels than mail do not count."""
    words: dict[str, ConsentRecord] = {}
    for record in records:
        if record.channel == MAIL and _rank(record) >= _rank(words.get(record.category, record)):
            words[record.category] = record
    return words


def _is_confirmed(category: str, records: Sequence[ConsentRecord]) -> bool:
    heard = [one for one in records if one.category in (MARKETING, category) and one.channel == MAIL]
    last_no = max((_rank(one) for one in heard if not one.given), default=None)
    confirmed = (one for one in heard if one.category == category and one.action == "confirmed")
    return any(last_no is None or _rank(one) > last_no for one in confirmed)


def _rank(record: ConsentRecord) -> tuple[int, bool]:
    """In the unit of time of the engine, so that what is one instant to it is one to the mailer."""
    return millis(record.at), not record.given


class _Properties(msgspec.Struct):
    category: str | None = None
    words: str | None = None
    words_version: str | None = None
    language: str | None = None
    channel: str | None = None
    source: str | None = None


class _Context(msgspec.Struct, rename="camel"):
    """What a browser or an SDK says by itself. Nobody's word on consent is lost because that is odd."""

    ip: Any = None
    user_agent: Any = None
    locale: Any = None
    global_privacy_control: Any = None


_decoder = msgspec.json.Decoder(_Properties)
_context_decoder = msgspec.json.Decoder(_Context)


def from_event(event: Event) -> list[ConsentRecord]:
    """The consent that an event carries: those of `NAMES`, as a `track`; others carry none.

    Properties, all optional: `category` (`marketing`), `words` (shown to the person), `words_version`, `language`
    (`context.locale`), `channel` (`email`), `source` (`event`).
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
    channel = properties.channel or MAIL
    context = _context_of(event)
    # The id says what was said, so that a sender who reuses a messageId cannot silence a withdrawal.
    said = [event.message_id, category, action, *([channel] if channel != MAIL else [])]
    return [
        ConsentRecord(
            record_id=":".join(said),
            person=event.person,
            category=category,
            action=action,
            at=event.timestamp,
            source=properties.source or "event",
            words=properties.words or "",
            words_version=properties.words_version or "",
            language=properties.language or _text(context.locale),
            channel=channel,
            origin=_origin(context),
        )
    ]


_PRIVACY_CONTROL = b'"globalPrivacyControl"'


def objection_to_sale(event: Event) -> ConsentRecord | None:
    """The opt-out of the sale and sharing of their data that a browser with `Sec-GPC: 1` says with every request.

    The law wants it honoured for the browser and for the person who is known to use it (CCPA 1798.135, 11 CCR 7025). It
    is one record a person, whatever they do, with the time of the first event that is written; and it says nothing
    about mail. Events are looked through for its bytes, because nearly none of them has it.
    """
    if _PRIVACY_CONTROL not in bytes(event.context) or _context_of(event).global_privacy_control is not True:
        return None
    return ConsentRecord(
        record_id="gpc",
        person=event.person,
        category=SALE_AND_SHARING,
        action="withdrawn",
        at=event.timestamp,
        source="gpc",
    )


def _context_of(event: Event) -> _Context:
    try:
        return _context_decoder.decode(event.context)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Context()


def _origin(context: _Context) -> Origin | None:
    ip, user_agent = _text(context.ip), _text(context.user_agent)
    return Origin(ip=ip, user_agent=user_agent) if ip or user_agent else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
