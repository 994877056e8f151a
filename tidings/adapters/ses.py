"""Amazon SES's door: SendEmail of its API v2, with our bytes.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html

botocore finds credentials and signs. The request itself goes the way of all the others, because its own client does not
tell a handshake that failed from an answer that did not come.
"""

import base64
import re
from collections.abc import Callable

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session
from msgspec import json

from tidings.adapters import mail_api, mail_url
from tidings.adapters.mail_api import MailApi, Verdicts
from tidings.adapters.mail_url import MailUrl
from tidings.errors import TemporaryError
from tidings.mailing.mail import SEND_ID, Mail
from tidings.settings import SettingsError

VERDICTS: Verdicts = (
    # The account, its sending domain or its quota. An address that is not verified: the From of a new account, or the
    # recipient while the account is in the sandbox.
    (r"400 (AccountSuspended|SendingPaused|MailFromDomainNotVerified|LimitExceeded)Exception", TemporaryError),
    (r"400 MessageRejected\.unverified", TemporaryError),
    # Credentials, which other AWS services refuse with 403.
    (
        r"400 (ExpiredToken|IncompleteSignature|InvalidSignature|MissingAuthenticationToken|Unrecognized).*",
        TemporaryError,
    ),
    (r"[45]\d\d (Throttling|TooManyRequests|RequestThrottled).*", TemporaryError),
    (r"503 ServiceUnavailable.*", TemporaryError),  # documented: a temporary failure of the server
)
"""The code is the name of the error. MessageRejected is about content, and so Refused.

https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html. Of 5xx they write to wait before trying
again, because that makes duplicates less likely: less, so their outcome is unknown.
"""

PATH = "/v2/email/outbound-emails"


class SesSender:
    """Sends mails by Amazon SES, as they are but for Date, Message-ID and Feedback-ID, which it replaces.

    Args:
        url: `ses://[KEY:SECRET@]REGION[/CONFIGURATION-SET]`; without a key, credentials are looked for where AWS's
            tools do. A host with a dot is the endpoint itself, and the region an option: `?region=eu-west-1`.

    Raises:
        SettingsError: the URL cannot be used, or there are no credentials.
    """

    provider = "ses"

    def __init__(self, url: MailUrl) -> None:
        mail_url.refuse_unknown_options(url, ("region",))
        is_endpoint = "." in url.host
        self._region = url.options.get("region", "") if is_endpoint else url.host
        is_region = re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d+", self._region)
        if not is_region or bool(url.user) != bool(url.password) or len(url.path) > 1:
            raise SettingsError("TIDINGS_MAIL_URL must look like ses://KEY:SECRET@eu-west-1 or ses://eu-west-1")
        self._credentials = Credentials(url.user, url.password) if url.user else Session().get_credentials()
        if self._credentials is None:
            raise SettingsError("TIDINGS_MAIL_URL names no AWS key, and there is none in the environment")
        base = url.base("") if is_endpoint else _endpoint(self._region)
        self._set = url.path[0] if url.path else None
        self._api = MailApi(self.provider, base, VERDICTS)

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`."""
        request = self._api.request(PATH, content=json.encode(_body(mail, self._set)))
        self._sign(request)
        answer = self._api.post(request, leave)
        if answer.status_code != 200 or not mail_api.fields(answer).get("MessageId"):
            raise self._api.fault(answer, _code(answer))

    def close(self) -> None:
        """See `Sender.close`."""
        self._api.close()

    def _sign(self, request: httpx.Request) -> None:
        """Add the headers of AWS Signature Version 4."""
        headers = {"Content-Type": "application/json"}
        signed = AWSRequest("POST", str(request.url), headers, request.content)
        try:
            SigV4Auth(self._credentials.get_frozen_credentials(), "ses", self._region).add_auth(signed)
        except BotoCoreError as error:  # credentials that expire have to be fetched again
            raise TemporaryError(f"no AWS credentials: {type(error).__name__}") from None
        request.headers.update(dict(signed.headers.items()))


def _endpoint(region: str) -> str:
    """See https://docs.aws.amazon.com/general/latest/gr/ses.html ."""
    return f"https://email.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _body(mail: Mail, configuration_set: str | None) -> dict[str, object]:
    tags = {SEND_ID: mail.send_id, **mail.tags}
    # SES writes a Feedback-ID of its own, and takes its first two fields from these.
    tags |= {"ses:feedback-id-a": mail.tags.get("rule", ""), "ses:feedback-id-b": mail.tags.get("category", "")}
    body: dict[str, object] = {
        "Destination": {"ToAddresses": [mail.recipient]},
        "Content": {"Raw": {"Data": base64.b64encode(mail.data).decode()}},
        "EmailTags": [{"Name": name, "Value": value[:256]} for name, value in tags.items() if value],
    }
    return body | ({"ConfigurationSetName": configuration_set} if configuration_set else {})


def _code(answer: httpx.Response) -> str:
    """The error's name, which is in a header or in the body, alone or between `#` and `:`."""
    said = mail_api.fields(answer)
    name = answer.headers.get("x-amzn-errortype") or said.get("__type") or said.get("code") or ""
    name = str(name).partition(":")[0].rpartition("#")[2]
    message = str(said.get("message") or said.get("Message"))
    return f"{name}.unverified" if name == "MessageRejected" and "is not verified" in message else name
