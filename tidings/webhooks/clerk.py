"""What a report about a mail does: to the suppression list, to consent, to the stream, and to what is kept of the mail.

Everything here may be done twice. The feedback is kept last, so what is kept is done, and a provider that asks again
after a failure half-way finds the rest of the work and does not begin anew.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from tidings.feedback import email_events
from tidings.mailing import sending
from tidings.permission import preferences
from tidings.permission.consent import MARKETING, address_digest
from tidings.permission.preferences import Change
from tidings.records.feedback import Feedback
from tidings.records.store import LedgerEntry, Store
from tidings.settings import Settings
from tidings.tokens import Unsubscribe, read_unsubscribe
from tidings.webhooks import mailgun, postmark, sendgrid, ses
from tidings.webhooks.inbound_mail import Inbound
from tidings.webhooks.reports import Reading, Report
from tidings.wire import dead_letter, topics
from tidings.wire.decisions import PERSON
from tidings.wire.topics import Message, Publisher

STEP = "hooks"
"""Under which dead letters are kept: `unknown_send`, `unreadable`, `unknown_mail`."""

PARSERS: dict[str, Callable[[bytes], Reading]] = {
    "sendgrid": sendgrid.parse,
    "ses": ses.parse,
    "mailgun": mailgun.parse,
    "postmark": postmark.parse,
}
"""What reads the body of a webhook, by its provider."""

AT_ONCE = 100
"""So many reports are kept together. SendGrid brings more than a thousand, which may take longer than it waits."""


class Clerk:
    """Does what reports ask for.

    Args:
        settings: the secret that digests addresses, and the topics.
        store: the ledger, feedback, suppressions and consent.
        publisher: takes events and dead letters.
    """

    def __init__(self, settings: Settings, store: Store, publisher: Publisher) -> None:
        self._settings = settings
        self._store = store
        self._publisher = publisher

    def carry_out(self, reports: Sequence[Report], now: datetime) -> Counter[str]:
        """Bring every report to its end; returns what was done how often, for the log.

        Raises:
            StoreError, PublishError: not now; nothing is lost by trying again, and what was done is not done again.
        """
        done: Counter[str] = Counter()
        for first in range(0, len(reports), AT_ONCE):
            done += self._carry_out(reports[first : first + AT_ONCE], now)
        return done

    def _carry_out(self, reports: Sequence[Report], now: datetime) -> Counter[str]:
        done: Counter[str] = Counter()
        kept: dict[str, Feedback] = {}
        told: list[Message] = []
        unknown: list[Report] = []
        for report in reports:
            entry = self._entry(report)
            if entry is None:
                unknown.append(report)
                continue
            person = entry.decision.person
            if report.feedback_id in kept or self._store.has_feedback(person, report.feedback_id):
                done["repeated"] += 1
                continue
            feedback = report.feedback(person, now, entry.links)
            self._act(report, entry, now)
            kept[report.feedback_id] = feedback
            done[report.kind] += 1
            # An unsubscription has told itself already, as a change of consent.
            if report.kind != "unsubscribed" and (event := email_events.of_feedback(feedback, entry, now)):
                told.append(topics.of_event(event))
        self._publish(self._settings.events_topic, told)
        self._bury_unknown(unknown, now)
        done["unknown_send"] += len(unknown)
        self._store.append_feedback(list(kept.values()))
        return +done

    def knows(self, report: Report) -> bool:
        """Whether the ledger knows the mail that this is about."""
        return self._entry(report) is not None

    def _entry(self, report: Report) -> LedgerEntry | None:
        """The mail that this is about. Of somebody's who was erased there may be an entry, which knows nobody."""
        entry = self._store.ledger_entry(report.send_id) if report.send_id else None
        return None if entry is None or entry.reason == "erased" else entry

    def understands(self, mail: Inbound) -> bool:
        """Whether there is anything in a mail for `take_mail` to do, or surely nothing to be done."""
        if mail.sort == "unsubscribe":
            return read_unsubscribe(mail.token, self._settings.secret) is not None
        return mail.sort != "unknown"

    def take_mail(self, mail: Inbound, now: datetime) -> Counter[str]:
        """Do what a mail asks for that is understood; returns and raises as `carry_out`."""
        if mail.sort == "unsubscribe" and (link := read_unsubscribe(mail.token, self._settings.secret)):
            self.withdraw(link, link.category or MARKETING, "mailto", "", now)
            return Counter(unsubscribed=1)
        return self.carry_out(mail.reports, now) + Counter(automatic=int(mail.sort == "automatic"))

    def withdraw(self, link: Unsubscribe, category: str, source: str, words: str, now: datetime) -> bool:
        """Take back consent; see `preferences.apply`. Of somebody who was erased there is none."""
        if preferences.forgotten(link.person, self._store, self._settings.secret):
            return False
        change = Change(category, False, source, words)
        return preferences.apply(change, link, now, self._store, self._publisher, self._settings.events_topic)

    def bury(
        self,
        reason: str,
        detail: str,
        payloads: Sequence[bytes],
        now: datetime,
        attributes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Keep what cannot be used as dead letters."""
        letters = [dead_letter.build(STEP, reason, detail, data, attributes, now) for data in payloads]
        self._publish(self._settings.dead_letters_topic, [Message(*letter) for letter in letters])

    def _act(self, report: Report, entry: LedgerEntry, now: datetime) -> None:
        """What does more than being kept and told."""
        decision = entry.decision
        provider = entry.letter.provider if entry.letter else ""
        if report.kind == "bounced" and report.verdict == "dead_address":
            self._suppress(report, entry, "bounced", now)
            self._count(report, provider, "hard_bounced", now)
        if report.kind == "complained":
            self._suppress(report, entry, "complained", now)
            self._count(report, provider, "complained", now)
        if report.kind in ("complained", "unsubscribed") and decision.to == PERSON:
            category = decision.category or MARKETING
            link = Unsubscribe(decision.person, category, decision.send_id)
            whole = report.kind == "complained" or report.everything
            self.withdraw(link, MARKETING if whole else category, report.provider, "", now)

    def _count(self, report: Report, provider: str, what: sending.Outcome, now: datetime) -> None:
        """Count it once a mail, who ever says it and how often: a webhook, a mail to the return path, a second try."""
        if self._store.use_once(f"counted-{what}-{report.send_id}", now + sending.TALLIES_KEPT):
            sending.count(self._store, provider or report.provider, what, now)

    def _suppress(self, report: Report, entry: LedgerEntry, reason: str, now: datetime) -> None:
        """Never mail the address again to which this mail went, if the report is about that one.

        A mail that was passed on can bounce at another address, and a role is never suppressed: see `recipients`.
        """
        if entry.decision.to != PERSON:
            return
        reported = self._digest(report)
        ours = (entry.letter.address_digest if entry.letter else "") or reported
        if ours and reported in ("", ours):
            self._store.suppress(ours, reason, min(report.at, now))

    def _bury_unknown(self, reports: Sequence[Report], now: datetime) -> None:
        """Reports about mails that the ledger does not know: of another system, expired, or of somebody erased.

        For the sake of the last, no address is kept, and its digest instead.
        """
        bare = [replace(one, recipient="", url="", origin=None, address_digest=self._digest(one)) for one in reports]
        if bare:
            letters = [msgspec.json.encode(one) for one in bare]
            self.bury("unknown_send", "the ledger does not know the mail that this is about", letters, now)

    def _digest(self, report: Report) -> str:
        """Of the address that it is about; empty when it does not say."""
        return address_digest(report.recipient, self._settings.secret) if report.recipient else report.address_digest

    def _publish(self, topic: str, messages: list[Message]) -> None:
        if messages:
            self._publisher.publish(topic, messages)
