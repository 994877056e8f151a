"""Stand-ins for the providers' APIs: a real HTTP server on a free port, which answers as the provider documents it."""

import hashlib
import hmac
import io
import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec
from werkzeug.formparser import FormDataParser

VANISH = "vanish"
"""Instead of an answer: the connection breaks when the request has been read."""


class Answer(msgspec.Struct, frozen=True):
    """What is answered: a status, a body (JSON unless it is text), and more headers."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}


class Request(msgspec.Struct, frozen=True):
    """One request as it came."""

    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body, if it is a JSON object."""
        return json.loads(self.body)

    @property
    def form(self) -> tuple[dict[str, list[str]], dict[str, bytes]]:
        """The fields and the files of a multipart body."""
        kind, options = self.headers.get_content_type(), dict(self.headers.get_params()[1:])
        _, fields, files = FormDataParser().parse(io.BytesIO(self.body), kind, len(self.body), options)
        return fields.to_dict(flat=False), {name: file.read() for name, file in files.items()}


class ProviderApi:
    """Use it as a context manager.

    Attributes:
        requests: all that came, in order.
        answers: to give instead of the documented ones, each used once.
        pause: seconds before it answers.
        connections: how many were made to it.
    """

    def __init__(self, documented: Callable[[Request], Answer]) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer | str] = []
        self.pause = 0.0
        self.connections = 0
        self._documented = documented
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def host(self) -> str:
        """Where it is, `127.0.0.1:port`."""
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ProviderApi":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _answer(self, request: Request) -> Answer | str:
        self.requests.append(request)
        time.sleep(self.pause)
        return self.answers.pop(0) if self.answers else self._documented(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # connections stay
            disable_nagle_algorithm = True

            def setup(self) -> None:
                api.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = api._answer(Request(self.path, self.headers, body))
                if isinstance(answer, str):
                    self.close_connection = True
                    return
                text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                content = b"" if answer.body is None else text.encode()
                self.send_response(answer.status)
                for name, value in ({"Content-Length": str(len(content))} | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler


SENDGRID_KEY = "SG.a-key.of_some/length"
SENDGRID_RESERVED = {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
SENDGRID_RESERVED |= {"to", "from", "subject", "reply-to", "cc", "bcc"}


def sendgrid(request: Request) -> Answer:
    """POST /v3/mail/send: 202 and no body."""

    def error(status: int, message: str, field: str | None = None) -> Answer:
        return Answer(status, {"errors": [{"message": message, "field": field, "help": None}]})

    if request.path != "/v3/mail/send":
        return error(404, "not found")
    if request.headers["Authorization"] != f"Bearer {SENDGRID_KEY}":
        return error(401, "The provided authorization grant is invalid, expired, or revoked")
    if request.headers.get_content_type() != "application/json":
        return error(415, "Content-Type should be application/json.")
    body = request.json
    for field in "personalizations", "from", "subject", "content":
        if not body.get(field):
            return error(400, f"The {field} is required", field)
    if "@" not in body["personalizations"][0]["to"][0]["email"]:
        return error(400, "Does not contain a valid address.", "personalizations.0.to.0.email")
    if [part["type"] for part in body["content"]] != ["text/plain", "text/html"]:
        return error(400, "If present, text/plain and text/html may only be provided once.", "content")
    if SENDGRID_RESERVED & {name.lower() for name in body["headers"]}:
        return error(400, "The header is reserved", "headers")
    return Answer(202, None, {"X-Message-Id": "14c5d75ce93.dfd.64b469"})


POSTMARK_TOKEN = "ce5d2a8e-0f5c-4f6b-a6a5-8f0a3f9d2c11"


def postmark(request: Request) -> Answer:
    """POST /email: 200 with ErrorCode 0."""

    def error(status: int, code: int, message: str) -> Answer:
        return Answer(status, {"ErrorCode": code, "Message": message})

    if request.path != "/email":
        return Answer(404)
    if request.headers["X-Postmark-Server-Token"] != POSTMARK_TOKEN:
        return error(401, 10, "No Account or Server API tokens were supplied in the HTTP headers.")
    if request.headers.get_content_type() != "application/json" or request.headers["Accept"] != "application/json":
        return Answer(415)
    body = request.json
    if "@" not in body["To"]:
        return error(422, 300, f"Invalid 'To' address: '{body['To']}'.")
    if "@" not in body["From"]:
        return error(422, 300, f"Invalid 'From' address: '{body['From']}'.")
    if any(len(name) > 20 or len(value) > 80 for name, value in body["Metadata"].items()):
        return error(422, 300, "Metadata is too long.")
    if body["MessageStream"] not in {"outbound", "broadcast"}:
        return error(422, 1235, f"The stream provided: '{body['MessageStream']}' does not exist on this server.")
    taken = {"To": body["To"], "SubmittedAt": "2026-03-02T12:00:00.1234567-05:00", "MessageID": "b7bc2f4a-e38e-4336"}
    return Answer(200, taken | {"ErrorCode": 0, "Message": "OK"})


MAILGUN_KEY, MAILGUN_DOMAIN = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0", "mg.shop.example"


def mailgun(request: Request) -> Answer:
    """POST /v3/DOMAIN/messages.mime: 200 with the id of the message."""
    scheme, _, credentials = request.headers["Authorization"].partition(" ")
    if (scheme, b64decode(credentials)) != ("Basic", f"api:{MAILGUN_KEY}".encode()):
        return Answer(401, "Forbidden")
    if request.path != f"/v3/{MAILGUN_DOMAIN}/messages.mime":
        return Answer(404, {"message": "Domain not found: " + request.path.split("/")[2]})
    fields, files = request.form
    if "message" not in files:
        return Answer(400, {"message": "message parameter is missing"})
    if "@" not in fields.get("to", [""])[0]:
        return Answer(400, {"message": "to parameter is not a valid address. please check documentation"})
    return Answer(200, {"id": "<20260302120000.1.ABC@mg.shop.example>", "message": "Queued. Thank you."})


SES_KEY, SES_SECRET, SES_REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1"


def ses(request: Request) -> Answer:
    """POST /v2/email/outbound-emails: 200 with the id of the message."""

    def error(status: int, name: str, message: str) -> Answer:
        return Answer(status, {"message": message}, {"x-amzn-ErrorType": name})

    if request.path != "/v2/email/outbound-emails":
        return error(404, "NotFoundException", "no such resource")
    if not _signed_with_version_4(request):
        return error(403, "InvalidSignatureException", "The request signature we calculated does not match")
    body = request.json
    if "@" not in body["Destination"]["ToAddresses"][0]:
        return error(400, "BadRequestException", "Missing final '@domain'")
    if b"\r\n\r\n" not in b64decode(body["Content"]["Raw"]["Data"], validate=True):
        return error(400, "BadRequestException", "no header section")
    return Answer(200, {"MessageId": "0102018d-1f2e-4a5b"})


def _signed_with_version_4(request: Request) -> bool:
    """See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html ."""
    algorithm, _, rest = request.headers["Authorization"].partition(" ")
    given = dict(part.strip().split("=", 1) for part in rest.split(","))
    key, *scope = given["Credential"].split("/")
    names = given["SignedHeaders"].split(";")
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    digest = hashlib.sha256(request.body).hexdigest()
    canonical = f"POST\n{urlsplit(request.path).path}\n\n{headers}\n{given['SignedHeaders']}\n{digest}"
    stamp = request.headers["X-Amz-Date"]
    to_sign = f"{algorithm}\n{stamp}\n{'/'.join(scope)}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing_key = f"AWS4{SES_SECRET}".encode()
    for part in scope:
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    expected = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    wanted = ("AWS4-HMAC-SHA256", SES_KEY, [stamp[:8], SES_REGION, "ses", "aws4_request"])
    return (algorithm, key, scope) == wanted and {"host", "x-amz-date"} <= {*names} and given["Signature"] == expected
