"""Does this message speak of somebody? For what nobody could decode: ids and addresses are looked for as text."""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import unquote

from tidings.permission.consent import address_digest
from tidings.wire.topics import Message

LONG = 6
"""An id of so many characters, one of them a digit or an @, is somebody's wherever it stands. Any other one, such as
`12` or `support`, only as the value of a field that holds ids: a letter about another person must not go for it."""

_ID_FIELDS = "(?:userId|anonymousId|previousId|user_id|anonymous_id|previous_id|person)"
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_ROUNDS = 3
_LOCAL_PART, _DOMAIN = 64, 255
"""Characters at most, https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1."""
_BEFORE = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]*$")
_AFTER = re.compile(r"[\w.-]*\w")
_BEGINS = re.compile(r"[^\w.+-]")
"""What may belong to a local part, and more often ends what stands before an address: `?to=ann@example.com`."""


class Mentions:
    """Whether a message is about a person: it has one of their ids, or an address with one of these digests.

    Args:
        ids: as `Event.person`.
        digests: of addresses, see `consent.address_digest`.
        secret: that the digests were made with.
    """

    def __init__(self, ids: Iterable[str], digests: Collection[str], secret: str) -> None:
        self._digests = frozenset(digests)
        self._secret = secret
        self._ids = re.compile("|".join(_pattern(one) for one in sorted(ids)) or r"(?!)")

    def __call__(self, message: Message) -> bool:
        """See the class."""
        texts = [message.data.decode(errors="replace"), *message.attributes.values()]
        return any(self._is_in(form) for text in texts for form in forms(text))

    def _is_in(self, text: str) -> bool:
        if self._ids.search(text.casefold()):
            return True
        return any(address_digest(one, self._secret) in self._digests for one in set(addresses(text)))


def _pattern(person: str) -> str:
    """Of `u:ann` both the key, as decisions have it, and the bare id, as events do."""
    bare = person.partition(":")[2].casefold()
    text = re.escape(bare)
    field = rf'{_ID_FIELDS.casefold()}["\']?\s*[:=]\s*["\']?(?:{re.escape(person[:2])})?{text}(?![\w-])'
    telling = len(bare) >= LONG and re.search(r"[\d@]", bare)
    return rf"(?:{field})|(?<![\w-]){text}(?![\w-])" if telling else f"(?:{field})"


def forms(text: str) -> list[str]:
    """The text as it stands, and what it says where JSON, URLs or HTML have escaped it, once or several times."""
    found = [unicodedata.normalize("NFC", text)]
    for _ in range(_ROUNDS):
        said = _ESCAPED.sub(lambda code: chr(int(code[1], 16)), found[-1])
        said = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs become one character
        said = unicodedata.normalize("NFC", html.unescape(unquote(said)).replace("\\/", "/").replace('\\"', '"'))
        if said == found[-1]:
            break
        found.append(said)
    return found


def addresses(text: str) -> Iterator[str]:
    """Whatever may be an address in a text; it is looked for around each @, because the text may be long."""
    start = text.find("@")
    while start >= 0:
        before = _BEFORE.search(text[max(0, start - _LOCAL_PART) : start])
        after = _AFTER.match(text[start + 1 : start + 1 + _DOMAIN])
        if before and before[0] and after:
            local = before[0]
            begins = [0, *(found.end() for found in _BEGINS.finditer(local))]
            yield from (f"{local[begin:]}@{after[0]}" for begin in begins if local[begin:])
        start = text.find("@", start + 1)
