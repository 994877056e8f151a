"""One decision becomes one mail: for whom, whether now, in which words, with which links, in which envelope."""

from collections.abc import Callable
from datetime import datetime

from functions import asking, recipients
from functions.turns import Turns
from tidings.adapters.renderer import Renderer
from tidings.errors import AddressError, DeadAddressError, RefusedError, TemporaryError
from tidings.mailing import sending
from tidings.mailing.facts import mail_facts
from tidings.mailing.link_tracking import tracked
from tidings.mailing.mail import Sender
from tidings.mailing.message import build
from tidings.permission import categories
from tidings.permission.consent import MARKETING
from tidings.records.store import LedgerEntry, Letter, Store
from tidings.settings import Settings
from tidings.wire.decisions import Decision


class Outgoing:
    """Makes mails and hands them over. Any number of threads may use it.

    Args:
        settings: who sends, and from which folders of templates and policies.
        store: profiles, consent, suppressions, and what all workers share.
        sender: the door that mail leaves by.
        clock: the time.

    Raises:
        InvalidRuleError: a policy is refused.
    """

    def __init__(self, settings: Settings, store: Store, sender: Sender, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._sender = sender
        self._clock = clock
        self._renderer = Renderer(settings.templates)
        self._categories = categories.load(settings.policy)
        self._turns = Turns(sending.load(settings.policy), store, sender.provider)

    def send(self, decision: Decision, held: LedgerEntry, now: datetime, leave: Callable[[Letter], float]) -> None:
        """Find out who may get it, and whether now; then the template, then the provider.

        Args:
            decision: what to send.
            held: our claim.
            now: the Date of the mail.
            leave: called with what the ledger must know, right before the mail leaves; see `Sender.send`.

        Raises:
            SuppressedError, NotYetError: it must not be sent, or not now.
            UnknownRoleError, TemplateError, InvalidEventError: it cannot be made.
            TemporaryError, AddressError, RefusedError, UnknownOutcomeError: see `Sender.send`.
        """
        to = recipients.find(decision, self._store, self._settings, now)
        asking.limit(decision, to, self._store, now)
        self._turns.ask(decision, held, to.address, now)
        facts = mail_facts(decision, to.profile, self._settings, to.activity)
        rendered = self._renderer.render(decision.template, facts)
        category = self._categories[decision.category or MARKETING]
        rendered, links = tracked(rendered, decision, self._settings, category, to.consent)
        mail = build(decision, rendered, to.address, self._settings, now)
        letter = Letter(provider=self._sender.provider, subject=mail.subject, links=links, address_digest=to.digest)
        try:
            self._sender.send(mail, lambda: leave(letter))
        except TemporaryError as fault:
            self._turns.heed(fault, held, self._clock())
            raise
        except AddressError as fault:
            if not to.digest:  # our own mailbox is full or gone: somebody must hear of it
                raise RefusedError(str(fault)) from None
            if isinstance(fault, DeadAddressError):
                self._store.suppress(to.digest, str(fault), now)
            raise
