"""What Pub/Sub's push requests hold. Source: https://cloud.google.com/pubsub/docs/push#receive_push."""

import msgspec


class Push(msgspec.Struct, frozen=True):
    """What one push request brings.

    Attributes:
        data / attributes: of the message.
        attempt: the how manieth delivery of it this is; 0 where Pub/Sub does not count, for want of a dead-letter
            policy (https://cloud.google.com/pubsub/docs/handling-failures#track-delivery-attempts).
    """

    data: bytes = b""
    attributes: dict[str, str] = {}
    attempt: int = 0


class _Message(msgspec.Struct):
    """`data` stands in base64 on the wire; both fields may be absent there."""

    data: bytes = b""
    attributes: dict[str, str] = {}


class _Envelope(msgspec.Struct, rename="camel"):
    message: _Message
    delivery_attempt: int = 0


_decoder = msgspec.json.Decoder(_Envelope)


def read(body: bytes) -> Push:
    """The message of one push request; a body that is no push request comes back as the data of one."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Push(data=body)
    return Push(found.message.data, found.message.attributes, found.delivery_attempt)
