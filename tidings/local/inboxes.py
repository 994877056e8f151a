"""What came of a simulated story: everybody's inbox, and what did not get there."""

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tidings.local.mailbox import Mailbox
from tidings.records.store import LedgerEntry, Store
from tidings.simulating.story_documents import Ending
from tidings.wire.decisions import PERSON, Decision


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, and how it ended.

    Attributes:
        inbox: whose: as `Event.person`, or the name of a role.
        person: whom it is about, as `Event.person`.
        at: what the mail is dated; of what did not go, when that was said.
        ends: `send`, `shadow`, the reason why not, or `dead_lettered` for one that has no reason of its own.
        detail: more about why not.
        of_steps: how many sends the rule has.
        subject / text / recipient: of the mail; empty when there is none.
    """

    inbox: str
    person: str
    at: datetime
    due: datetime
    rule: str
    key: str
    template: str
    step: int
    of_steps: int
    ends: str
    detail: str = ""
    subject: str = ""
    text: str = ""
    recipient: str = ""

    @property
    def ending(self) -> Ending:
        """What a story expects."""
        return Ending(self.rule, self.person, self.due, self.key, self.step, self.template, self.ends)


def lines(decided: Sequence[Decision], steps: dict[str, int], store: Store, mailbox: Mailbox) -> list[Line]:
    """Each decision with its end, in the order in which they ended.

    Args:
        decided: what was decided.
        steps: how many sends each rule has.
        store: where the ledger is.
        mailbox: where the mails are.
    """
    mails = {mail_id: mail for mail in mailbox.mails(limit=10_000) if (mail_id := _send_id(mail.headers))}
    found = []
    for decision in decided:
        entry = store.ledger_entry(decision.send_id)
        assert entry is not None, "the simulation has seen it end"
        mail = mails.get(decision.send_id)
        found.append(
            Line(
                inbox=decision.person if decision.to == PERSON else decision.to,
                person=decision.person,
                at=(mail.dated_at if mail else entry.updated_at).replace(microsecond=0),
                due=decision.due_at,
                rule=decision.rule_id,
                key=decision.entry_key,
                template=decision.template,
                step=decision.step,
                of_steps=steps[decision.rule_id],
                ends=_ends(entry),
                detail=entry.detail or next((gate.detail for gate in decision.gates if not gate.passed), ""),
                subject=mail.subject if mail else "",
                text=mail.text if mail else "",
                recipient=mail.recipient if mail else "",
            )
        )
    return sorted(found, key=lambda line: line.at)


def _ends(entry: LedgerEntry) -> str:
    return "send" if entry.status == "sent" else entry.reason or entry.status


def _send_id(headers: Sequence[tuple[str, str]]) -> str:
    found = re.match(r"<(?P<send_id>[0-9a-f]{32})@", dict(headers).get("Message-ID", ""))
    return found["send_id"] if found else ""
