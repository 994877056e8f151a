"""The names of the specs: slips are told from names that are merely other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.ingest.event_names import B2B, ECOMMERCE, KNOWN, nearly, promised


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Product Vewed", "Product Viewed"),
        ("Prodcut Viewed", "Product Viewed"),
        ("Products Viewed", "Product Viewed"),
        ("product viewed", "Product Viewed"),
        ("productViewed", "Product Viewed"),
        ("product_viewed", "Product Viewed"),
        ("Order Complete", "Order Completed"),
        ("Order Competed", "Order Completed"),
        ("Signed up", "Signed Up"),
        ("Trial Start", "Trial Started"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(written, meant):
    assert nearly(written) == meant


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Product Liked",
            "Product Rated",
            "Order Created",
            "Order Placed",
            "Login Failed",
            "Signed Off",
            "Cart Cleared",
        ),
        *(
            "Form Submitted",
            "Form Step Completed",
            "Demo Attended",
            "Checkout Completed",
            "Email Forwarded",
            "Заказ Оформлен",
        ),
    ],
)
def test_a_name_of_ones_own_is_left_alone(name):
    assert nearly(name) is None


@given(st.sampled_from(sorted(KNOWN)))
def test_no_name_of_the_specs_is_taken_for_another(name):
    assert nearly(name) is None
    assert nearly(name.upper().replace(" ", "_")) == name


@given(st.text(max_size=30))
def test_any_text_may_be_asked_about(text):
    assert nearly(text) is None or nearly(text) in KNOWN


def test_a_spec_promises_what_every_such_event_has():
    assert {"product_id", "name", "price"} <= promised("Product Added")
    assert "coupon" not in promised("Product Added"), "documented, and most products have none"
    assert promised("Form Step Completed") is None
    assert all(promised(name) is not None for name in (*ECOMMERCE, *B2B))
