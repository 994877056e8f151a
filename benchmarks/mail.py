"""Mails a second on one core: rendered and handed to a mail server, against bare Jinja2 and smtplib.

All make mails of the same facts and templates in turns, over one connection to an aiosmtpd in another process on the
other core. The baseline renders subject and HTML and hands them over, and nothing else: no inlined styles, no text
part, no limits, no tracked links, no unsubscribe headers. Another one makes what a reader should get, by hand, in this
process. Below stands what each part costs.

Whoever waits for a slow server may be slow as well: waiting, which all do alike, brings us nearer to the baseline. So
the fastest of many short rounds counts, and a row of its own says what is left of it in processor time alone.
"""

import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any, NamedTuple

import css_inline
import flask
import jinja2
import msgspec
from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from msgspec.structs import replace

import templates
from benchmarks.timing import row
from functions.deliver import Mailer
from tests.dkim_keys import PRIVATE
from tests.functions.mail_room import envelope
from tests.sends import SETTINGS, a_decision
from tests.support import eventually
from tidings.adapters.pubsub import Publisher, ensure_topic
from tidings.adapters.renderer import Renderer
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.sqlite_store import SqliteStore
from tidings.local.ports import HOST, answers, free_port
from tidings.mailing.dkim import Signer
from tidings.mailing.facts import mail_facts
from tidings.mailing.link_tracking import tracked
from tidings.mailing.mail import Mail
from tidings.mailing.message import build
from tidings.permission import categories
from tidings.permission.consent import person_digest
from tidings.records.store import ConsentRecord, Letter, Profile, ProfileUpdate
from tidings.rendering import Rendered, files, rendered
from tidings.wire import decisions
from tidings.wire.decisions import Decision

MESSAGES = ("product-reminder", "pricing-followup", "welcome", "cart-abandoned")
MAILS = 40
ROUNDS = 40
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TEMPLATES = Path(templates.__file__).parent
POLICIES = categories.load()
TEXT = ParserConfig(display_links=True, css=CSS_PROFILES["strict"])

SINK = """
import sys, time
from aiosmtpd.controller import Controller
class Sink:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"
Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[1])).start()
while True:
    time.sleep(60)
"""


class Work(NamedTuple):
    """One mail to be made."""

    decision: Decision
    profile: Profile
    facts: dict[str, Any]


def run(_: Path) -> str:
    """Lines for the table."""
    work = [*_work()]
    with ExitStack() as open_things:
        open_things.enter_context(_one_core())
        port = free_port()
        open_things.enter_context(_elsewhere(port, "-c", SINK, str(port)))
        smtp = open_things.enter_context(smtplib.SMTP(HOST, port))
        renderer = open_things.enter_context(Renderer())
        sender = SmtpSender(f"smtp://{HOST}:{port}?tls=none", most=10**9)
        open_things.callback(sender.close)
        bare, by_hand, ours = _bare(smtp), _by_hand(smtp), _handed_over(renderer, sender)
        with_text = _handed_over(open_things.enter_context(_with_texts()), sender)
        whole = open_things.enter_context(_mailer(port, work))
        bare_took, by_hand_took, ours_took, with_text_took, whole_took = _fastest(
            work, bare, by_hand, ours, with_text, whole
        )
        bare_used, ours_used = _fastest(work, bare, ours, clock=_processor_time)
        parts = _parts(work, smtp, renderer, sender)

    def a_second(seconds: float) -> str:
        return f"{1 / seconds:,.0f} mails/s"

    def line(what: str, took: float, against: str, its: float, at_least: float | None = None) -> str:
        return row(what, a_second(took), f"{against}: {a_second(its)}", its / took, at_least=at_least)

    plain = "bare Jinja2 and smtplib"
    return "\n".join(
        [
            line("rendered and handed to SMTP, one core", ours_took, plain, bare_took, at_least=0.5),
            row(
                "- in processor time alone, that of the process with limits included",
                f"{1e6 * ours_used:,.0f} µs a mail",
                f"{plain}: {1e6 * bare_used:,.0f} µs",
                bare_used / ours_used,
            ),
            line("- with text parts that their author wrote", with_text_took, plain, bare_took),
            line("- the same mail", ours_took, "Jinja2, css-inline, inscriptis and smtplib", by_hand_took),
            line("the whole of `deliver`: with SQLite, ledger and event", whole_took, plain, bare_took),
            *(
                row(
                    f"- {name}", f"{1e6 * seconds:,.0f} µs a mail", f"of {1e6 * ours_took:,.0f} µs", seconds / ours_took
                )
                for name, seconds in parts.items()
            ),
        ]
    )


def _fastest(
    work: Sequence[Work], *ways: Callable[[Sequence[Work]], None], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Seconds a mail of each way, in turns."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, its in zip(ways, times, strict=True):
            started = clock()
            way(work)
            its.append((clock() - started) / len(work))
    return [min(its) for its in times]


def _processor_time() -> float:
    """Seconds that this process has used, and those that it has started and that share its core."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    sharing = [pid for pid in map(int, children) if os.sched_getaffinity(pid) == os.sched_getaffinity(0)]
    # The number of another process's clock is made as clock_getcpuclockid(3) makes it on Linux.
    return time.process_time() + sum(time.clock_gettime(~pid << 3 | 2) for pid in sharing)


@contextmanager
def _with_texts() -> Iterator[Renderer]:
    """The templates as they are, each with a text beside it."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(TEMPLATES, folder, dirs_exist_ok=True)
        for name in MESSAGES:
            text = (Path(folder) / name / "subject.txt").read_text() + "\n\n{{ links.unsubscribe|default('') }}\n"
            (Path(folder) / name / "body.txt").write_text(text)
        with Renderer(folder) as renderer:
            yield renderer


def _work() -> Iterator[Work]:
    """Mails of several templates, about the event of each one's example, to so many people."""
    for number in range(MAILS):
        template = MESSAGES[number % len(MESSAGES)]
        example = msgspec.json.decode(files.source(f"{template}/example.json") or "{}")
        kind = "transactional" if template == "welcome" else "marketing"
        decision = a_decision(
            f"u:{number}", template=template, kind=kind, properties=example["event"]["properties"], decided_at=NOW
        )
        events = tuple(
            replace(decision.event, properties=msgspec.Raw(msgspec.json.encode(one["properties"])))
            for one in example.get("events", [])
        )
        decision = replace(decision, events=events)
        traits = {"email": f"person-{number}@example.com", "first_name": "Ada", **example["person"]["traits"]}
        profile = Profile(person=decision.person, traits=traits)
        yield Work(decision, profile, mail_facts(decision, profile, SETTINGS))


@contextmanager
def _one_core() -> Iterator[None]:
    """Everything that is started in here shares one core, unless it says otherwise."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _elsewhere(port: int, *arguments: str) -> Iterator[int]:
    """Python with these arguments on the cores that are not ours, once it listens on the port."""
    others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0) or os.sched_getaffinity(0)
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, others)
    try:
        eventually(lambda: answers(port)(""))
        yield port
    finally:
        process.kill()
        process.wait()


# --- the ways to send


def _bare(smtp: smtplib.SMTP) -> Callable[[Sequence[Work]], None]:
    jinja = _plain_jinja()

    def send(work: Sequence[Work]) -> None:
        for one in work:
            facts = {**one.facts, "language": "en"}
            name = one.decision.template
            mail = MIMEText(jinja.get_template(f"{name}/body.html").render(facts), "html")
            mail["Subject"] = jinja.get_template(f"{name}/subject.txt").render(facts).strip()
            mail["From"], mail["To"] = SETTINGS.mail_from, one.profile.traits["email"]
            smtp.send_message(mail)

    return send


def _by_hand(smtp: smtplib.SMTP) -> Callable[[Sequence[Work]], None]:
    jinja = _plain_jinja()

    def send(work: Sequence[Work]) -> None:
        for one in work:
            facts = {**one.facts, "language": "en"}
            name = one.decision.template
            html = css_inline.inline(jinja.get_template(f"{name}/body.html").render(facts))
            mail = MIMEMultipart("alternative")
            mail["Subject"] = jinja.get_template(f"{name}/subject.txt").render(facts).strip()
            mail["From"], mail["To"] = SETTINGS.mail_from, one.profile.traits["email"]
            mail.attach(MIMEText(get_text(html, TEXT), "plain"))
            mail.attach(MIMEText(html, "html"))
            smtp.send_message(mail)

    return send


def _plain_jinja() -> jinja2.Environment:
    """Without a sandbox, and with what our templates ask for."""
    there = files.environment("")
    jinja = jinja2.Environment(
        loader=there.loader, autoescape=True, auto_reload=False, undefined=jinja2.StrictUndefined
    )
    jinja.filters.update(there.filters)
    jinja.tests.update(there.tests)
    jinja.globals.update(there.globals)
    return jinja


def _made(one: Work, rendered_: Rendered) -> tuple[Mail, Letter]:
    category = POLICIES[one.decision.category]
    with_links, links = tracked(rendered_, one.decision, SETTINGS, category, ())
    mail = build(one.decision, with_links, one.profile.traits["email"], SETTINGS, NOW)
    return mail, Letter(subject=mail.subject, links=links)


def _handed_over(renderer: Renderer, sender: SmtpSender) -> Callable[[Sequence[Work]], None]:
    def send(work: Sequence[Work]) -> None:
        for one in work:
            mail, _ = _made(one, renderer.render(one.decision.template, one.facts))
            sender.send(mail, lambda: 60.0)

    return send


@contextmanager
def _mailer(port: int, work: Sequence[Work]) -> Iterator[Callable[[Sequence[Work]], None]]:
    """`deliver` itself, as a request from Pub/Sub finds it. Each round sends new episodes of the same."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_things:
        its_port = free_port()
        server = ("-m", "tidings.adapters.pubsub_server", "--path", f"{folder}/pubsub.db", "--port", str(its_port))
        open_things.enter_context(_elsewhere(its_port, *server))
        os.environ["PUBSUB_EMULATOR_HOST"] = f"{HOST}:{its_port}"
        url = f"smtp://{HOST}:{port}?tls=none"
        settings = replace(SETTINGS, store=f"sqlite:{folder}/store.db", mail_url=url, project="bench")
        for topic in (settings.events_topic, settings.dead_letters_topic):
            ensure_topic(settings.project, topic)
        store = SqliteStore(f"{folder}/store.db")
        for one in work:
            person = one.decision.person
            store.update_profiles([ProfileUpdate(person=person, at=NOW, traits=one.profile.traits)])
            yes = ConsentRecord(
                record_id="yes", person=person, category="marketing", action="given", at=NOW, source="import"
            )
            store.record_consent([yes])
        sender = SmtpSender(url, most=10**9)
        mailer = Mailer(settings, store, Publisher(settings.project), sender, lambda: NOW)
        app, rounds = flask.Flask("bench"), iter(range(10**6))

        def send(some: Sequence[Work]) -> None:
            number = next(rounds)
            for one in some:
                anew = replace(one.decision, send_id=f"{number:08x}{one.decision.send_id[8:]}")
                body = envelope(decisions.encode(anew), {"schema": decisions.SCHEMA})
                with app.test_request_context("/", method="POST", data=body):
                    assert mailer(flask.request).status_code == 204
                assert number or store.ledger(anew.person)[0].status == "sent"

        yield send
        sender.close()
        store.close()


# --- what costs what


def _parts(work: Sequence[Work], smtp: smtplib.SMTP, renderer: Renderer, sender: SmtpSender) -> dict[str, float]:
    """Seconds a mail, each part by itself. The child's includes all that it does, and the way there and back."""
    there = files.environment("")
    done = [rendered.render(one.decision.template, one.facts) for one in work]
    raw = [
        there.get_template(f"{one.decision.template}/body.html").render({**one.facts, "language": "en"}) for one in work
    ]
    mails = [_made(one, its)[0] for one, its in zip(work, done, strict=True)]
    signer = Signer(PRIVATE, "mail")
    category = POLICIES["reminders"]

    def jinja(number: int) -> None:
        facts = {**work[number].facts, "language": "en"}
        for part in ("subject.txt", "body.html"):
            there.get_template(f"{work[number].decision.template}/{part}").render(facts)

    parts: dict[str, Callable[[int], object]] = {
        "facts": lambda n: mail_facts(work[n].decision, work[n].profile, SETTINGS),
        "render, in a process with limits": lambda n: renderer.render(work[n].decision.template, work[n].facts),
        "- - of it Jinja2 in its sandbox": jinja,
        "- - of it styles inlined (css-inline)": lambda n: css_inline.inline(
            raw[n], keep_at_rules=True, load_remote_stylesheets=False
        ),
        "- - of it the text part (inscriptis)": lambda n: rendered._text_of(done[n].html),
        "tracked links": lambda n: tracked(done[n], work[n].decision, SETTINGS, category, ()),
        "headers and bytes": lambda n: build(work[n].decision, done[n], work[n].profile.traits["email"], SETTINGS, NOW),
        "SMTP": lambda n: sender.send(mails[n], lambda: 60.0),
        "- - of it what smtplib alone takes": lambda n: smtp.sendmail(
            mails[n].sender, [mails[n].recipient], mails[n].data
        ),
        "beside that: a DKIM signature, where we sign": lambda n: signer.sign(mails[n].data, "shop.example"),
    }

    def all_of(part: Callable[[int], object]) -> Callable[[Sequence[Work]], None]:
        def do(some: Sequence[Work]) -> None:
            for number in range(len(some)):
                part(number)

        return do

    with _store(work) as store_it:
        parts["beside that: store and ledger (SQLite)"] = store_it
        return dict(zip(parts, _fastest(work, *map(all_of, parts.values())), strict=True))


@contextmanager
def _store(work: Sequence[Work]) -> Iterator[Callable[[int], object]]:
    """Everything that `deliver` asks of the store for one mail that goes out; each time it is another mail."""
    with tempfile.TemporaryDirectory() as folder:
        store, numbers = SqliteStore(f"{folder}/store.db"), iter(range(10**9))

        def ask(number: int) -> None:
            decision = replace(work[number].decision, send_id=f"{next(numbers):032x}")
            digest = person_digest(decision.person, SETTINGS.secret)
            store.erased_at(digest)
            held = store.claim(decision, NOW, timedelta(minutes=2)).entry
            store.erased_at(digest)
            store.profile(decision.person)
            store.suppression(digest)
            store.consent(decision.person)
            store.hand_over(held, NOW, Letter(subject="Still thinking about it?"))
            store.finish(held, "sent", NOW)

        yield ask
        store.close()
