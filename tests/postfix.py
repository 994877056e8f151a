"""A Postfix of our own: a private configuration and queue, a free port, and nothing of the system but the programs."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from tests.support import eventually
from tidings.local.ports import answers, free_port

LOCAL = "local.example"
"""Of this domain Postfix knows every mailbox itself, and has none."""

_MAIN = """
    compatibility_level = 3.6
    queue_directory = {home}/spool
    data_directory = {home}/data
    maillog_file = {home}/maillog
    maillog_file_prefixes = {home}
    myhostname = mx.postfix.example
    mydestination = {local}
    inet_interfaces = 127.0.0.1
    inet_protocols = ipv4
    mynetworks = 127.0.0.0/8
    smtpd_relay_restrictions = permit_mynetworks, reject
    # Take mail for anybody and find out later, as relays do: so a bounce comes as a mail.
    local_recipient_maps =
    alias_maps =
    alias_database =
    default_transport = smtp:[127.0.0.1]:{onward}
    smtp_dns_support_level = disabled
    smtpd_peername_lookup = no
    smtpd_tls_security_level = none
    notify_classes =
"""

_MASTER = """
    127.0.0.1:{port} inet n - n - - smtpd
    pickup unix n - n 60 1 pickup
    cleanup unix n - n - 0 cleanup
    qmgr unix n - n 300 1 qmgr
    rewrite unix - - n - - trivial-rewrite
    bounce unix - - n - 0 bounce
    defer unix - - n - 0 bounce
    trace unix - - n - 0 bounce
    proxymap unix - - n - - proxymap
    smtp unix - - n - - smtp
    showq unix n - n - - showq
    error unix - - n - - error
    retry unix - - n - - error
    local unix - n n - - local
    anvil unix - - n - 1 anvil
    scache unix - - n - 1 scache
    postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why there can be no Postfix here; None when there can."""
    if not shutil.which("postfix"):
        return "postfix is not installed"
    return "postfix can only be started by root" if os.geteuid() else None


class Postfix:
    """A running one.

    Attributes:
        url: the value of TIDINGS_MAIL_URL.
    """

    def __init__(self, home: Path, port: int) -> None:
        self._home = home
        self.url = f"smtp://127.0.0.1:{port}?tls=none"

    @property
    def log(self) -> str:
        """What it says that it has done."""
        return (self._home / "maillog").read_text()


@contextmanager
def postfix(onward: int) -> Iterator[Postfix]:
    """Start one that hands everything that is not of `LOCAL` to an SMTP server on this port of the machine."""
    port = free_port()
    # Its programs run as a user of their own, who may not look into pytest's folders.
    with tempfile.TemporaryDirectory(prefix="postfix-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        for name in ("etc", "spool", "data"):
            (home / name).mkdir()
        shutil.chown(home / "data", "postfix")
        (home / "etc" / "main.cf").write_text(dedent(_MAIN.format(home=home, local=LOCAL, onward=onward)))
        (home / "etc" / "master.cf").write_text(dedent(_MASTER.format(port=port)))
        command = ["postfix", "-c", str(home / "etc")]
        started = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
        assert started.returncode == 0, started.stderr + _read(home / "maillog")
        try:
            eventually(lambda: answers(port)(""))
            yield Postfix(home, port)
        finally:
            subprocess.run([*command, "stop"], capture_output=True, check=True)


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""
