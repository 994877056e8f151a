"""A letter that nobody could read is found when it speaks of somebody, however it was written, and no other one is."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.permission.consent import address_digest
from tidings.privacy.mentions import Mentions
from tidings.wire.topics import Message

SECRET = "a secret of the right length"
ADDRESS = "Ann.Lee+shop@Example.com"


def mentions(*ids: str, address: str = ADDRESS) -> Mentions:
    return Mentions(ids, {address_digest(address, SECRET)}, SECRET)


ESCAPINGS = {
    "plain": str,
    "upper": str.upper,
    "json": json.dumps,
    "unicode": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "percent": lambda text: quote(text, safe=""),
    "json in json": lambda text: json.dumps(json.dumps({"email": text})),
    "percent in json": lambda text: json.dumps({"url": "https://shop.example/?to=" + quote(text)}),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": lambda text: text.replace("@", "&#64;"),
    "mailto": lambda text: f'<a href="mailto:{text}">',
    "sentence": lambda text: f"It is {text}.",
    "form": lambda text: f"a=1&email={text}&b=2",
}


@pytest.mark.parametrize("escape", ESCAPINGS.values(), ids=ESCAPINGS)
def test_an_address_is_found_however_it_is_written(escape):
    assert mentions()(Message(escape(ADDRESS).encode()))
    assert not mentions()(Message(escape("bob@example.com").encode()))


def test_an_address_in_an_attribute_is_found():
    assert mentions()(Message(b"", {"original_label": f"from {ADDRESS}"}))


def test_an_address_beside_bytes_that_are_no_text_is_found():
    assert mentions()(Message(b"\xff\xfe\x00" + ADDRESS.encode() + b"\x00\xff"))


@pytest.mark.parametrize("written", ["ann@münchen.example", "ann@xn--mnchen-3ya.example", "ANN@MÜNCHEN.example"])
def test_a_domain_in_any_script_is_one_domain(written):
    assert mentions(address="ann@münchen.example")(Message(written.encode()))


@pytest.mark.parametrize(
    "other", ["joann.lee+shop@example.com", "ann.lee+shop@example.com.au", "ann.lee@example.com", "@example.com", "@"]
)
def test_an_address_that_holds_another_one_is_not_it(other):
    assert not mentions()(Message(other.encode()))


IN_A_FIELD = [
    '{"userId": "%s"}', '{"userId":%s}', '{"user_id":"%s"}', '{"anonymousId" : "%s"}', '{"previousId":"%s"}',
    '{"person":"u:%s"}', '"{\\"userId\\":\\"%s\\"}"', "userId=%s&x=1", "user%%49d=%s",
]  # fmt: skip


@pytest.mark.parametrize("written", IN_A_FIELD)
@pytest.mark.parametrize("name", ["12", "support", "Ann-77"])
def test_an_id_is_found_where_ids_stand(written, name):
    assert mentions(f"u:{name}")(Message((written % name).encode()))
    assert not mentions(f"u:{name}")(Message((written % f"{name}9").encode()))
    assert not mentions(f"u:{name}")(Message((written % f"x-{name}").encode()))


def test_only_an_id_that_is_nothing_else_is_found_anywhere():
    text = b"order 12 of cust-004711 for support"
    assert mentions("u:cust-004711")(Message(text))
    assert not mentions("u:12")(Message(text))
    assert not mentions("u:support")(Message(text))


def test_who_has_no_id_and_no_address_is_mentioned_nowhere():
    assert not Mentions((), (), SECRET)(Message(b'{"userId": "", "email": "ann@example.com"}'))


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_address_is_found_in_any_surroundings_that_are_no_part_of_it(before, after):
    told = json.dumps([before, ADDRESS, after], ensure_ascii=False)
    assert mentions()(Message(told.encode(errors="surrogatepass")))


@given(st.binary(max_size=300))
def test_any_bytes_can_be_looked_at(data):
    mentions("u:ann-1")(Message(data))
