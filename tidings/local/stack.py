"""What every run on this machine starts, whoever decides in its middle: mail catcher, Pub/Sub, store and functions."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tidings import settings
from tidings.adapters.stores import open_store
from tidings.local import parts, topology
from tidings.local.folder import DataFolder
from tidings.local.mailbox import Mailbox
from tidings.local.ports import HOST, free_port
from tidings.local.supervisor import Child, Supervisor
from tidings.records.store import Store
from tidings.settings import Settings

WRITE_KEY = "local-demo-key"


class Stack:
    """The parts, to be started in the order in which a run wants to show them.

    Args:
        folder: where everything is kept.
        supervisor: keeps the parts running.
        port: of the pages and functions.
        exits: what is opened here is closed by it, and the environment is as it was.
    """

    def __init__(self, folder: DataFolder, supervisor: Supervisor, port: int, exits: ExitStack) -> None:
        self.folder = folder
        self.port = port
        self.smtp_port = free_port()
        self.mailbox = Mailbox(folder.mail)
        self._supervisor = supervisor
        self._exits = exits

    def set_environment(self, roles: Mapping[str, str], **more: str) -> None:
        """Set what the parts read by `tidings.settings`; the sender's name and street are as made up as the shop."""
        values = {
            "GOOGLE_CLOUD_PROJECT": "tidings-local",
            "TIDINGS_STORE": f"sqlite:{self.folder.store}",
            "TIDINGS_WRITE_KEYS": WRITE_KEY,
            "TIDINGS_SECRET": self.folder.secret(),
            "TIDINGS_PUBLIC_URL": f"http://localhost:{self.port}",
            "TIDINGS_MAIL_URL": f"smtp://{HOST}:{self.smtp_port}?tls=none",
            "TIDINGS_MAIL_FROM": "Pebble & Fern <hello@pebble-and-fern.example>",
            "TIDINGS_POSTAL_ADDRESS": "4 Millstream Lane, Fernhollow",
            "TIDINGS_ROLES": ",".join(f"{role}={address}" for role, address in roles.items()),
            **more,
        }
        self._restore_at_exit([*values, "PUBSUB_EMULATOR_HOST"])
        os.environ.update(values)

    def _restore_at_exit(self, names: Iterable[str]) -> None:
        before = {name: os.environ.get(name) for name in names}

        def restore() -> None:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

        self._exits.callback(restore)

    def start_catcher(self) -> Child:
        """The mail catcher."""
        return self._supervisor.start(parts.mail_catcher(self.folder, self.smtp_port))

    def start_pubsub(self) -> Child:
        """The embedded Pub/Sub; everything that is started from here on finds it."""
        port = free_port()
        child = self._supervisor.start(parts.embedded_pubsub(self.folder.pubsub, port))
        os.environ["PUBSUB_EMULATOR_HOST"] = f"{HOST}:{port}"
        return child

    def open_store(self, backoff: tuple[float, float] | None = None) -> tuple[Settings, Store]:
        """Topics, subscriptions and the store, once Pub/Sub is ready. `backoff` as of `topology.prepare`."""
        chosen = settings.load()
        self.folder.pubsub_host.write_text(os.environ["PUBSUB_EMULATOR_HOST"])
        self._exits.callback(self.folder.pubsub_host.unlink, missing_ok=True)
        topology.prepare(chosen, f"http://{HOST}:{self.port}/deliver", backoff)
        store = open_store(chosen.store, chosen.project)
        self._exits.callback(store.close)
        return chosen, store

    def start_functions(self, time_scale: float = 1.0, clock: Path | None = None) -> Child:
        """The functions and the pages, by the clock of the wall or by that in a file."""
        return self._supervisor.start(parts.functions(self.folder, self.port, time_scale, clock))
