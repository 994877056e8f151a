"""The start page and the files of the shop."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tidings.local.web import SHOP, LocalPages, create_app


@pytest.fixture
def page(tmp_path: Path) -> FlaskClient:
    return create_app(LocalPages(mail_folder=tmp_path, write_key="the-key", time_scale=60)).test_client()


def test_the_start_page_says_how_long_the_cart_rule_waits_and_how_to_send_an_event(page: FlaskClient) -> None:
    shown = page.get("/", base_url="http://localhost:8123").text
    assert "After 15 seconds without an order" in shown
    assert "curl -u the-key: http://localhost:8123/v1/track" in shown


@pytest.mark.parametrize("path", ["/shop/", "/shop/things/mug", "/shop/cart", "/shop/pricing", "/shop/sign-up"])
def test_every_page_of_the_shop_is_the_one_page_that_draws_itself(page: FlaskClient, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 200
    assert '<meta name="write-key" content="the-key">' in answer.text


def test_the_shop_without_its_slash_leads_to_the_shop(page: FlaskClient) -> None:
    assert page.get("/shop").headers["Location"] == "/shop/"


@pytest.mark.parametrize("path", ["/shop/missing.js", "/shop/../web.py", "/shop/..%2fweb.py", "/pages/../start.html"])
def test_only_files_of_the_shop_can_be_fetched(page: FlaskClient, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert "create_app" not in answer.text


@pytest.mark.parametrize("path", ["/", "/inbox", "/shop/", "/shop/shop.js"])
def test_no_page_of_ours_may_load_from_or_send_to_another_machine(page: FlaskClient, path: str) -> None:
    policy = page.get(path).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_every_picture_and_script_that_the_shop_names_is_there(page: FlaskClient) -> None:
    from_page = [part.split('"')[0] for part in (SHOP / "index.html").read_text().split('"/shop/')[1:]]
    files = [name for name in from_page if "." in name]
    products = [line.split('"')[1] for line in (SHOP / "products.js").read_text().splitlines() if "{ id:" in line]
    assert len(products) == 6
    for name in files + [f"art/{product}.svg" for product in products]:
        assert page.get(f"/shop/{name}").status_code == 200, name
