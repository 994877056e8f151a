"""What a browser has named must not be taken for a command by the terminal that shows it."""

from tidings.printable import printable


def test_what_a_terminal_obeys_is_shown_and_not_done():
    assert printable("u:\x1b]0;owned\x07\x9b2J\r") == "u:\ufffd]0;owned\ufffd\ufffd2J\ufffd"


def test_text_stays_as_it_is():
    assert printable("Übergröße ☂\n\tzwei") == "Übergröße ☂\n\tzwei"
