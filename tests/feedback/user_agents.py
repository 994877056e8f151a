"""What browsers, mail programs, image proxies and scanners call themselves, with where we know it from."""

from typing import NamedTuple

from tidings.records.feedback import Agent


class Known(NamedTuple):
    """A User-Agent header, who it stands for, the code that says so, and where it was seen."""

    name: str
    agent: Agent
    reason: str
    source: str


_WIN = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_LISTED = "https://github.com/monperrus/crawler-user-agents"

PEOPLE = [
    (f"{_WIN} Chrome/126.0.0.0 Safari/537.36", "Chrome on Windows; also what Microsoft's scanner calls itself"),
    (f"{_WIN} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edge"),
    (f"{_IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on an iPhone"),
    (f"{_IPHONE} Mobile/15E148", "Mail on an iPhone, without Mail Privacy Protection"),
    (f"{_IPHONE} GSA/287.0.557 Mobile/15E148 Safari/604.1", "the Google app on an iPhone"),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mail on a Mac, and Outlook: https://github.com/warmbly/warmbly/pull/569",
    ),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox"),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64; rv:52.0) Gecko/20100101 Thunderbird/52.9.1 Lightning/5.4.9.1",
        "https://github.com/donatj/PhpUserAgent/issues/53",
    ),
    (
        "Mozilla/5.0 (Linux; Android 8.0.0; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/84.0.4147.111"
        " Mobile Safari/537.36",
        "a phone whose maker ends in bot",
    ),
    (
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.5134;"
        " ms-office; MSOffice 16)",
        "Outlook on Windows",
    ),
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)", "Outlook on Windows"),
    ("MacOutlook/16.78.3.23102801 (Intelx64 Mac OS X Version 13.6.1 (Build 22G313))", "Outlook on a Mac"),
    ("Outlook-iOS/709.2226530.prod.iphone (3.24.1)", "Outlook on an iPhone"),
]

MACHINES = [
    Known("Mozilla/5.0", "prefetch", "apple_mail_privacy", "https://github.com/ua-parser/uap-core/issues/509"),
    Known(
        f"{_WIN} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
        "prefetch",
        "gmail_prefetch",
        "https://github.com/jdavidbakr/mail-tracker/issues/255",
    ),
    Known(
        f"{_WIN} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Gmail-content-sampling",
        "scanner",
        "security_product",
        "https://github.com/mssola/user_agent/issues/71",
    ),
    Known(
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "proxy",
        "image_proxy",
        "https://github.com/browscap/browscap/issues/1108",
    ),
    Known(
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "proxy",
        "image_proxy",
        "https://github.com/faisalman/ua-parser-js/issues/494",
    ),
    Known(
        "Barracuda Sentinel (EE)",
        "scanner",
        "security_product",
        "https://github.com/JayBizzle/Crawler-Detect/issues/552",
    ),
    Known("Microsoft Office Existence Discovery", "scanner", "security_product", "Office programs, with HEAD"),
    Known(
        "python-requests/2.31.0",
        "scanner",
        "not_a_browser",
        "https://github.com/putyourlightson/craft-campaign/issues/546",
    ),
    Known("curl/8.4.0", "scanner", "not_a_browser", _LISTED),
    Known("Go-http-client/1.1", "scanner", "not_a_browser", _LISTED),
    Known("Apache-HttpClient/4.5.13 (Java/1.8.0_312)", "scanner", "not_a_browser", _LISTED),
    Known("Java/11.0.2", "scanner", "not_a_browser", "the JDK's own URLConnection"),
    Known(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36",
        "scanner",
        "not_a_browser",
        _LISTED,
    ),
    Known("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "scanner", "not_a_browser", _LISTED),
    Known("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", "scanner", "not_a_browser", _LISTED),
    Known("", "unknown", "no_user_agent", "programs that do not introduce themselves"),
    Known("  ", "unknown", "no_user_agent", "the same"),
]
