"""Who is behind a request for an open pixel or a tracked link: a person, or one of the many machines that read mail.

Nobody can know. What speaks for a machine is collected, each sign with a code, and the strongest one decides; a hit
that nothing speaks against counts as a person's. Pure: the request, and what is known of the mail, are arguments.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from crawleruseragents import is_crawler

from tidings.records.feedback import Agent, Feedback, Origin

SIGNS: Mapping[str, Agent] = {
    "not_a_get": "scanner",  # HEAD and OPTIONS look whether something is there
    "security_product": "scanner",  # a browser's name that says so
    "not_a_browser": "scanner",  # a crawler, a link preview, an HTTP library
    "burst": "scanner",  # more links at once than anybody can click
    "every_link": "scanner",  # one after the other, all that there are
    "beside_scanner": "scanner",  # by the same program from the same address, at the same time, as one that was
    "clicked_too_soon": "scanner",
    "prefetch_header": "prefetch",  # the program says itself that nobody has asked yet
    "apple_mail_privacy": "prefetch",
    "gmail_prefetch": "prefetch",
    "opened_too_soon": "prefetch",
    "image_proxy": "proxy",
    "no_user_agent": "unknown",
}
"""Every code, and who it speaks for; the first one that is found decides."""

SOON = timedelta(seconds=2)
"""Nobody reads and clicks within so short a time of the provider's answer: the mail is still on its way through two
mail servers. Scanners on that way have it already. A longer time would find more of them (some take twelve seconds),
and take the click of somebody who waits for the mail away; Mautic has the same two seconds."""

BURST, BURST_LINKS = timedelta(seconds=2), 3
"""So many different links of one mail within so long are no person; both links, where there are but two."""

EVERY_LINK = timedelta(seconds=10)
"""All links of a mail within so long, when there are `BURST_LINKS` or more."""

BESIDE = timedelta(seconds=10)
"""So long a scanner is known again. No longer: people in an office share an address, and often a browser, with it."""

MOST_OTHERS = 20
"""So many of the latest hits of a mail are enough to judge the next one: more within ten seconds are a burst anyway."""

MOST_KEPT = 500
"""So many opens of a mail are kept and told, and so many clicks; whatever comes after is answered, and counted in the
log. Three scanners that ask twice for each of fifty links leave room for people; and whoever has one link, and never
stops asking for it, fills no store and does not flood the stream."""


class Visit(NamedTuple):
    """One request for the pixel (`opened`) or a link (`clicked`) of a mail.

    Attributes:
        headers: names in lower case.
        link: the number of the link; 0 for the pixel.
    """

    kind: Literal["opened", "clicked"]
    at: datetime
    method: str
    headers: Mapping[str, str]
    origin: Origin
    link: int = 0


class Verdict(NamedTuple):
    """Who is taken to be behind it, and the codes of `SIGNS` that speak for that."""

    agent: Agent
    reasons: tuple[str, ...]


def judge(visit: Visit, sent_at: datetime, links: int, others: Sequence[Feedback] = ()) -> Verdict:
    """Who is taken to be behind a visit. Never raises, whatever the headers hold.

    Args:
        visit: the request.
        sent_at: when the provider took the mail, or when it was offered to it.
        links: how many tracked links the mail has.
        others: the other hits of this mail, as far as they are known, with their origins.
    """
    found = {*_of_request(visit), *_of_time(visit, sent_at), *_of_others(visit, links, others)}
    reasons = tuple(code for code in SIGNS if code in found)
    return Verdict(SIGNS[reasons[0]] if reasons else "human", reasons)


_SECURITY = re.compile(
    r"barracuda|proofpoint|mimecast|bitdefender|trend ?micro|forti(guard|mail)|symantec|sophos|safelinks"
    r"|Gmail-content-sampling|Existence Discovery",
    re.IGNORECASE,
)
"""Few of them say who they are. The last two are Gmail's, and the one of Office programs that look at links."""

_PROXY = re.compile(r"GoogleImageProxy|YahooMailProxy")
_LIBRARY = re.compile(r"Java/|ruby|perl\b|PostmanRuntime|libcurl", re.IGNORECASE)
_GMAIL_PREFETCH = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
"""How the name ends by which Gmail fetches images that nobody has looked at yet."""

_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""Headers by which programs say that they fetch ahead: https://wicg.github.io/nav-speculation/prefetch.html, and the
older ones of Chrome, Safari and Firefox."""


def _of_request(visit: Visit) -> Iterator[str]:
    if visit.method != "GET":
        yield "not_a_get"
    if any(re.search(r"prefetch|prerender|preview", visit.headers.get(name, ""), re.I) for name in _PURPOSES):
        yield "prefetch_header"
    name = visit.origin.user_agent.strip()
    if not name:
        yield "no_user_agent"
    elif name == "Mozilla/5.0":
        yield "apple_mail_privacy"
    elif name.endswith(_GMAIL_PREFETCH):
        yield "gmail_prefetch"
    elif _SECURITY.search(name):
        yield "security_product"
    elif _PROXY.search(name):
        yield "image_proxy"
    elif _LIBRARY.match(name) or is_crawler(name):
        yield "not_a_browser"


def _of_time(visit: Visit, sent_at: datetime) -> Iterator[str]:
    if visit.at < sent_at + SOON:
        yield "clicked_too_soon" if visit.kind == "clicked" else "opened_too_soon"


def _of_others(visit: Visit, links: int, others: Sequence[Feedback]) -> Iterator[str]:
    if any(_is_beside(visit, other) for other in others):
        yield "beside_scanner"
    if visit.kind != "clicked" or links < 2:
        return
    if len(_clicked(visit, others, BURST)) >= min(BURST_LINKS, links):
        yield "burst"
    if links >= BURST_LINKS and len(_clicked(visit, others, EVERY_LINK)) >= links:
        yield "every_link"


def _is_beside(visit: Visit, other: Feedback) -> bool:
    return bool(visit.origin.ip) and (
        other.agent == "scanner" and other.origin == visit.origin and abs(visit.at - other.at) <= BESIDE
    )


def _clicked(visit: Visit, others: Sequence[Feedback], within: timedelta) -> set[object]:
    """The numbers of the most links that were clicked in a stretch of that length which the visit lies in."""
    clicks = [(visit.at, visit.link), *((one.at, one.detail.get("link")) for one in others if one.kind == "clicked")]
    near = sorted((at, link) for at, link in clicks if isinstance(link, int) and abs(at - visit.at) <= within)
    stretches = (first for first, _ in near if first <= visit.at)
    return max(({link for at, link in near if first <= at <= first + within} for first in stretches), key=len)
