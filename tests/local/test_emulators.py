"""Google's emulators: started, found wanting, and gone without a trace."""

import socket
from pathlib import Path

import pytest

from tests.support import require
from tidings.local import emulators


def is_listening(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def a_gcloud(folder: Path, *lines: str) -> None:
    """Put a gcloud of these shell lines, and a java, on a PATH of their own."""
    for name, script in (("gcloud", lines), ("java", ())):
        (folder / name).write_text("\n".join(["#!/bin/sh", *script, ""]))
        (folder / name).chmod(0o755)


def test_nothing_of_an_emulator_survives_its_block() -> None:
    require(emulators.available("pubsub"))
    with emulators.google_pubsub_emulator() as address:
        assert is_listening(address)
    assert not is_listening(address)


def test_without_gcloud_the_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert emulators.available() == "Google's emulators need gcloud, and it is not on the PATH."


def test_a_missing_component_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_gcloud(tmp_path, f"echo {tmp_path}")
    (tmp_path / "platform" / "pubsub-emulator").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert emulators.available("pubsub") is None
    assert emulators.available() == "The gcloud component cloud-firestore-emulator is not installed."


def test_an_emulator_that_gives_up_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_gcloud(tmp_path, "echo no room on this machine", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(emulators.EmulatorError, match="no room on this machine"), emulators.google_firestore_emulator():
        pass
