"""What the person at the terminal sees."""

import io

import pytest

from tidings.local.terminal import GREEN, Terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """As `sys.stdout` answers in a terminal."""
        return True

    @property
    def lines(self) -> list[str]:
        """What is left to see: a line is what was written after its last return and erasure."""
        return [line.rpartition("\r\x1b[K")[2] for line in self.getvalue().rstrip("\n").split("\n")]


@pytest.fixture(autouse=True)
def colourless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def test_a_step_that_is_done_says_how_it_went() -> None:
    screen = Screen()
    with Terminal(screen).step("Store") as step:
        assert screen.getvalue().endswith("Store            starting")
        step.detail = "4 rules"
    (line,) = screen.lines
    assert line.split()[:2] == ["Store", "ready"]
    assert line.endswith("4 rules")


def test_a_step_that_fails_says_so_and_passes_the_fault_on() -> None:
    screen = Screen()
    with pytest.raises(LookupError), Terminal(screen).step("Store"):
        raise LookupError
    assert screen.lines[0].split()[:2] == ["Store", "failed"]


def test_a_notice_during_a_step_does_not_break_its_line() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    with terminal.step("Pipeline"):
        terminal.notice("the catcher ended")
    notice, step = screen.lines
    assert notice == "  the catcher ended"
    assert step.split()[:2] == ["Pipeline", "ready"]


def test_what_is_not_a_terminal_gets_plain_lines() -> None:
    out = io.StringIO()
    terminal = Terminal(out)
    with terminal.step("Store"):
        terminal.say(terminal.colour("plain", GREEN))
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()


def test_colours_are_used_on_a_terminal_unless_somebody_minds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Terminal(Screen()).colour("x", GREEN) == "x"
    monkeypatch.delenv("NO_COLOR")
    assert Terminal(Screen()).colour("x", GREEN) == "\x1b[32mx\x1b[0m"
