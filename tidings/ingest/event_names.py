"""The names of events that Segment has given a meaning, with the properties that its specs document for them.

Sources: https://segment.com/docs/connections/spec/ (ecommerce/v2, b2b-saas, email, live-chat, mobile, video,
ab-testing, page); `Email Sent` and `Email Suppressed` are our own, see `tidings.feedback.email_events`. Names are free:
whoever uses others is not wrong, but one that is nearly one of these is likely a slip.
"""

import re
from collections.abc import Collection, Mapping

_PRODUCT = ("product_id", "sku", "category", "name", "brand", "variant", "price", "quantity", "coupon", "position")
_PICTURED = (*_PRODUCT, "url", "image_url")
_ORDER = ("order_id", "affiliation", "revenue", "shipping", "tax", "discount", "coupon", "currency", "products")
_STEP = ("checkout_id", "step", "shipping_method", "payment_method")
_LIST = ("list_id", "category", "products")
_PROMOTION = ("promotion_id", "creative", "name", "position")
_WISHLIST = ("wishlist_id", "wishlist_name", *_PICTURED)
_SHARING = ("share_via", "share_message", "recipient")
_COUPON = ("order_id", "cart_id", "coupon_id", "coupon_name")
_TRIAL = ("trial_start_date", "trial_end_date", "trial_plan_name")
_EMAIL = ("email_id", "email_subject", "campaign_id", "campaign_name")
_CHAT = ("agent_id", "agent_name", "agent_username", "conversation_id", "conversation_duration", "message_id")

ECOMMERCE: Mapping[str, tuple[str, ...]] = {
    "Products Searched": ("query",),
    "Product List Viewed": _LIST,
    "Product List Filtered": (*_LIST, "filters", "sorts"),
    "Promotion Viewed": _PROMOTION,
    "Promotion Clicked": _PROMOTION,
    "Product Clicked": _PICTURED,
    "Product Viewed": (*_PICTURED, "currency", "value"),
    "Product Added": ("cart_id", *_PICTURED),
    "Product Removed": ("cart_id", *_PICTURED),
    "Cart Viewed": ("cart_id", "products"),
    "Checkout Started": (*_ORDER, "value"),
    "Checkout Step Viewed": _STEP,
    "Checkout Step Completed": _STEP,
    "Payment Info Entered": (*_STEP, "order_id"),
    "Order Updated": (*_ORDER, "total"),
    "Order Completed": (*_ORDER, "checkout_id", "subtotal", "total"),
    "Order Refunded": ("order_id", "total", "currency", "products"),
    "Order Cancelled": (*_ORDER, "total"),
    "Coupon Entered": ("order_id", "cart_id", "coupon_id"),
    "Coupon Applied": (*_COUPON, "discount"),
    "Coupon Denied": (*_COUPON, "reason"),
    "Coupon Removed": (*_COUPON, "discount"),
    "Product Added to Wishlist": _WISHLIST,
    "Product Removed from Wishlist": _WISHLIST,
    "Wishlist Product Added to Cart": (*_WISHLIST, "cart_id"),
    "Product Shared": (*_SHARING, *_PICTURED),
    "Cart Shared": (*_SHARING, "cart_id", "products"),
    "Product Reviewed": ("product_id", "review_id", "review_body", "rating"),
}

B2B: Mapping[str, tuple[str, ...]] = {
    "Account Created": ("account_name",),
    "Account Deleted": ("account_name",),
    "Signed Up": ("type", "first_name", "last_name", "email", "phone", "username", "title"),
    "Signed In": ("username",),
    "Signed Out": ("username",),
    "Invite Sent": ("invitee_email", "invitee_first_name", "invitee_last_name", "invitee_role"),
    "Account Added User": ("role",),
    "Account Removed User": (),
    "Trial Started": _TRIAL,
    "Trial Ended": _TRIAL,
}

OTHERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Email Bounced", "Email Delivered", "Email Opened", "Email Marked as Spam"), _EMAIL),
    "Email Link Clicked": (*_EMAIL, "link_id", "link_url"),
    "Unsubscribed": (*_EMAIL, "list_id", "list_name"),
    "Email Sent": (*_EMAIL, "category"),
    "Email Suppressed": ("email_id", "campaign_id", "campaign_name", "category", "reason"),
    **dict.fromkeys(("Live Chat Conversation Started", "Live Chat Conversation Ended"), _CHAT),
    **dict.fromkeys(("Live Chat Message Sent", "Live Chat Message Received"), _CHAT),
    "Application Installed": ("version", "build"),
    "Application Opened": ("from_background", "url", "referring_application", "version", "build"),
    "Application Backgrounded": (),
    "Application Updated": ("previous_version", "previous_build", "version", "build"),
    "Application Uninstalled": (),
    "Application Crashed": (),
    "Install Attributed": ("provider", "campaign"),
    "Push Notification Received": ("campaign",),
    "Push Notification Tapped": ("action", "campaign"),
    "Push Notification Bounced": ("action", "campaign"),
    "Deep Link Opened": ("provider", "url"),
    "Deep Link Clicked": ("provider", "url"),
    "Experiment Viewed": ("experiment_id", "experiment_name", "variation_id", "variation_name"),
}

_VIDEO = {
    "Playback": "Started, Paused, Interrupted, Resumed, Completed, Exited",
    "Playback Buffer": "Started, Completed",
    "Playback Seek": "Started, Completed",
    "Content": "Started, Playing, Completed",
    "Ad": "Started, Playing, Completed",
    "Quality": "Updated",
}

KNOWN: Mapping[str, tuple[str, ...] | None] = {
    **ECOMMERCE,
    **B2B,
    **OTHERS,
    **{f"Video {what} {did}": None for what, all_ in _VIDEO.items() for did in all_.split(", ")},
}
"""Every name, and its documented properties; None where there are too many to list."""

OF_PAGES = frozenset(("title", "path", "url"))
"""What SDKs for browsers put into every page call by themselves."""

_NOW_AND_THEN = {
    *("action", "affiliation", "brand", "campaign", "coupon", "creative", "discount", "first_name", "image_url"),
    *("last_name", "list_id", "list_name", "payment_method", "phone", "position", "quantity", "reason", "recipient"),
    *("review_body", "share_message", "shipping_method", "sku", "title", "username", "value", "variant"),
}
"""Documented, and yet not in every event: most products have no coupon, most people no second name."""


def promised(name: str) -> frozenset[str] | None:
    """The properties that every event of this name can be expected to have; None for a name that no spec knows."""
    documented = KNOWN.get(name)
    return None if documented is None else frozenset(documented) - _NOW_AND_THEN


def nearly(name: str, known: Collection[str] = KNOWN) -> str | None:
    """The one name that was probably meant: it differs in case, punctuation, or a letter or two of one word."""
    if name in known:
        return None
    words = _words(name)
    for one in known:
        theirs = _words(one)
        if "".join(words) == "".join(theirs):
            return one
        if len(words) == len(theirs):
            different = [(mine, other) for mine, other in zip(words, theirs, strict=True) if mine != other]
            if len(different) == 1 and _is_slip(*different[0]):
                return one
    return None


def _words(name: str) -> list[str]:
    """`productViewed`, `product_viewed` and `Product Viewed` are the same words."""
    return [word.casefold() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+", name)]


def _is_slip(written: str, meant: str) -> bool:
    """One letter too many, too few, wrong or in its neighbour's place, or an ending left out; not in short words."""
    if min(len(written), len(meant)) < 4:
        return False
    if meant.startswith(written) or written.startswith(meant):
        return abs(len(meant) - len(written)) <= 3
    head = next(place for place, (one, other) in enumerate(zip(written, meant, strict=False)) if one != other)
    mine, theirs = written[head:], meant[head:]
    swapped = mine[:2] == theirs[1::-1] and mine[2:] == theirs[2:]
    return swapped or mine[1:] in (theirs, theirs[1:]) or mine == theirs[1:]
