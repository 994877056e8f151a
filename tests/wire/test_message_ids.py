"""MessageIds in few bytes, and the same text again."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from tidings.wire.message_ids import pack, unpack


@given(st.text(max_size=100) | st.uuids().map(str) | st.text(alphabet="\x00\x01a", max_size=20))
def test_what_is_packed_comes_out_again(message_id):
    assert unpack(pack(message_id)) == message_id


@given(st.lists(st.text(alphabet="\x00\x01ab", max_size=18) | st.uuids().map(str), unique=True))
def test_no_two_ids_are_packed_alike(message_ids):
    assert len({pack(one) for one in message_ids}) == len(message_ids)


def test_a_uuid_takes_half_the_bytes_and_only_its_usual_form_does():
    one = "3fd41b2a-7c0e-4b8e-9a51-0d6c7f1e2a34"
    assert len(pack(one)) == 17
    for other in (one.upper(), one.replace("-", ""), f"{{{one}}}", one[:-1] + "g", uuid.UUID(one).urn):
        assert len(pack(other)) == len(other)
        assert unpack(pack(other)) == other
