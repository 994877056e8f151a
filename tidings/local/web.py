"""The pages of the local run: where to look (`/`), the inbox (`/inbox`) and the demonstration shop (`/shop`)."""

import re
from http import HTTPStatus
from pathlib import Path

import msgspec
from flask import Flask, Response, abort, redirect, render_template, request, send_from_directory, url_for
from werkzeug.wrappers import Response as AnyResponse

from tidings.local.mailbox import Mail, Mailbox

HERE = Path(__file__).parent
SHOP = HERE / "shop"
OWN_PAGES_ONLY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"
"""Nothing on our pages may come from, or go to, anywhere else than this machine."""
MAIL_IS_NOT_TRUSTED = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src 'self' data:; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""The HTML of a mail runs no script, sends no form and loads nothing from the net; its links open in a new tab."""
VIEWS = ("html", "text", "headers", "raw")


class LocalPages(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages need to know.

    Attributes:
        mail_folder: where the catcher keeps its mails.
        write_key: the key with which the shop's browser SDK sends.
        time_scale: how many times faster than life the rules' waits run.
        simulated: whether mails are dated by a story's clock, so that their arrival says nothing.
    """

    mail_folder: Path
    write_key: str
    time_scale: float = 1.0
    simulated: bool = False


def create_app(pages: LocalPages) -> Flask:
    """The WSGI application of the three pages."""
    app = Flask("tidings.local", template_folder=str(HERE / "pages"), static_folder=None)
    app.add_template_filter(_date if pages.simulated else _arrival, "moment")
    mailbox = Mailbox(pages.mail_folder)

    @app.after_request
    def keep_it_local(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", OWN_PAGES_ONLY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/")
    def start() -> str:
        return render_template("start.html", wait=_human(15 * 60 / pages.time_scale), pages=pages, host=request.host)

    @app.get("/pages/<path:name>")
    def static_file(name: str) -> Response:
        return send_from_directory(HERE / "pages" / "static", name)

    @app.get("/inbox")
    def inbox() -> str:
        return render_template("inbox.html", mails=mailbox.mails(), mail=None, view="html", views=VIEWS)

    @app.get("/inbox/list")
    def inbox_list() -> str:
        return render_template("inbox_list.html", mails=mailbox.mails(), chosen=request.args.get("chosen"))

    @app.get("/inbox/<mail_id>")
    def mail_page(mail_id: str) -> str:
        mail = _mail_or_404(mailbox, mail_id)
        view = request.args.get("view") or ("html" if mail.html else "text")
        if view not in VIEWS:
            abort(HTTPStatus.NOT_FOUND)
        return render_template("inbox.html", mails=mailbox.mails(), mail=mail, view=view, views=VIEWS)

    @app.get("/inbox/<mail_id>/body.html")
    def mail_html(mail_id: str) -> Response:
        response = Response(_links_in_new_tab(_mail_or_404(mailbox, mail_id).html), mimetype="text/html")
        response.headers["Content-Security-Policy"] = MAIL_IS_NOT_TRUSTED
        return response

    @app.get("/inbox/<mail_id>/mail.eml")
    def mail_file(mail_id: str) -> Response:
        return Response(_mail_or_404(mailbox, mail_id).raw, mimetype="message/rfc822")

    @app.get("/shop")
    def shop() -> AnyResponse:
        return redirect(url_for("shop_page"))

    @app.get("/shop/", defaults={"name": ""}, endpoint="shop_page")
    @app.get("/shop/<path:name>")
    def shop_page(name: str) -> Response | str:
        if name and (SHOP / name).is_file():
            return send_from_directory(SHOP, name)
        if "." in name:
            abort(HTTPStatus.NOT_FOUND)
        page = (SHOP / "index.html").read_text()  # every other path is a page that the shop's script draws
        return page.replace("{{write_key}}", pages.write_key)

    return app


def _mail_or_404(mailbox: Mailbox, mail_id: str) -> Mail:
    mail = mailbox.mail(mail_id)
    if mail is None:
        abort(HTTPStatus.NOT_FOUND)
    return mail


def _links_in_new_tab(html: str) -> str:
    """A sandboxed frame cannot leave the page, so its links must open beside it."""
    base = '<base target="_blank">'
    changed, found = re.subn(r"(<head[^>]*>)", rf"\1{base}", html, count=1, flags=re.IGNORECASE)
    return changed if found else base + html


def _arrival(mail: Mail) -> str:
    """The time of day on this machine."""
    return mail.received_at.astimezone().strftime("%H:%M:%S")


def _date(mail: Mail) -> str:
    """What the mail says itself, in UTC."""
    return mail.dated_at.strftime("%a %-d %b %Y %H:%M")


def _human(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds" if seconds >= 2 else "a second"
    return f"{seconds / 60:.0f} minutes"
