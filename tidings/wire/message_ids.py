"""MessageIds as they are remembered: most are UUIDs, and those fit into half the bytes that their text takes."""

_IS_UUID, _IS_TEXT = b"\x00", b"\x01"


def pack(message_id: str) -> bytes:
    """The id as bytes: a UUID in lower case as its 16 bytes behind a zero, everything else as UTF-8.

    Nothing is lost: `unpack` gives back the same text, whatever it was.
    """
    if len(message_id) == 36 and message_id[8] == message_id[13] == message_id[18] == message_id[23] == "-":
        try:
            digits = bytes.fromhex(message_id.replace("-", ""))
        except ValueError:
            digits = b""
        if len(digits) == 16 and message_id.islower():
            return _IS_UUID + digits
    raw = message_id.encode()
    return _IS_TEXT + raw if raw[:1] in (_IS_UUID, _IS_TEXT) else raw


def unpack(packed: bytes) -> str:
    """The inverse of `pack`."""
    if packed[:1] == _IS_UUID:
        digits = packed[1:].hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return packed.removeprefix(_IS_TEXT).decode()
