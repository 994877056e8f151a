"""The past, gathered from files: every event at its person, whatever the files look like and however they are cut."""

import errno
import gzip
import os
import signal
import tempfile
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drawn import START, UNTIL, histories, lines_of, rule_books
from tests.people import an_engine, an_event
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.history import parts, run, sources
from tidings.history.decided import Decide, Tally, merged, order
from tidings.history.gather import Window
from tidings.history.parts import Parts, PartsWriter
from tidings.history.sources import HistoryError
from tidings.rollout import rule_set
from tidings.rules.rule import load
from tidings.wire import decisions
from tidings.wire.events import decode, millis


class Keep:
    """A task that tells who was there, with what."""

    def __init__(self, number):
        self.people = {}

    def person(self, person, history):
        self.people[person] = sorted(one.message_id for one in history)

    def finish(self):
        return self.people


def people_of(units, window=Window(), processes=1):  # noqa: B008 - it never changes
    with run.gathered(units, window, processes, lambda *_: None) as past:
        parts = list(past.each_part(Keep))
        everybody = {person: its for part in parts for person, its in part.items()}
        assert len(everybody) == sum(map(len, parts)), "somebody is in two parts"
        return everybody, past.found


def a_file(folder, lines, name="events.jsonl"):
    path = folder / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


FOUR = [an_event("X", f"10:0{number}", message_id=f"m{number}", user_id=f"u{number % 2}") for number in range(4)]


def test_events_of_several_files_and_patterns_come_together_and_a_file_named_twice_counts_once(tmp_path):
    a_file(tmp_path, lines_of(FOUR[:2]), "a.jsonl")
    (tmp_path / "b.jsonl").write_bytes(gzip.compress(b"\n".join(lines_of(FOUR[2:]))))
    everybody, found = people_of(sources.files([f"{tmp_path}/*.jsonl", f"{tmp_path}/a.jsonl"]))
    assert everybody == {"u:u0": ["m0", "m2"], "u:u1": ["m1", "m3"]}
    assert (found.lines, found.events, found.broken) == (4, 4, 0)
    assert (found.oldest, found.newest) == (FOUR[0].received_at, FOUR[3].received_at)
    assert found.names == {("track", "X"): 4}


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000])
def test_a_file_that_is_read_in_pieces_is_read_whole_and_its_broken_lines_keep_their_numbers(
    tmp_path, monkeypatch, chunk
):
    monkeypatch.setattr(sources, "CHUNK", chunk)
    lines = lines_of(FOUR)
    lines[1:1] = [b"", b"no event", b'{"messageId": "x"}', b"  "]
    everybody, found = people_of(sources.files([a_file(tmp_path, lines)]))
    assert everybody == {"u:u0": ["m0", "m2"], "u:u1": ["m1", "m3"]}
    assert [(one.number, one.reason) for one in found.faults] == [(3, "unreadable"), (4, "not_an_event")]
    assert (found.lines, found.events, found.broken) == (8, 4, 2)


def test_a_last_line_without_a_line_end_counts(tmp_path):
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines_of(FOUR)))
    assert people_of(sources.files([f"{tmp_path}/events.jsonl"]))[1].events == 4


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), st.integers(1, 2000), st.integers(1, 5000))
def test_however_a_file_is_cut_everybody_has_what_is_theirs(tmp_path, events, chunk, part):
    path = a_file(tmp_path, [b"{", *lines_of(events)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", chunk)
        patch.setattr(run, "PART_BYTES", part)
        if not events:
            with pytest.raises(HistoryError, match="there is no event"):
                people_of(sources.files([path]))
            return
        everybody, _ = people_of(sources.files([path]))
    wanted = {person: sorted(one.message_id for one in its) for person, its in resolve(events).items()}
    assert everybody == wanted


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule_books(), histories(), st.integers(500, 3000))
def test_the_decisions_of_a_file_are_those_of_a_replay_in_order_of_time(tmp_path, documents, events, part):
    """To the last byte; and a person's file of one part or of many gives the same."""
    rules = rule_set.RuleSet({one["id"]: load(one) for one in documents}, {})
    told = Tally()
    if not events:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "PART_BYTES", part)
        units = sources.files([a_file(tmp_path, lines_of(events))])
        with run.gathered(units, Window(until=UNTIL), 1, lambda *_: None) as past:
            for tally in past.each_part(Decide(rules, past.until, None, past.folder)):
                told.add(tally)
            written = list(merged(past.folder))
    engine = an_engine(*documents)
    wanted = [one for who, its in resolve(events).items() for one in replay(engine, who, its, millis(UNTIL)).decisions]
    assert written == [decisions.encode(one) for one in sorted(wanted, key=order)]
    assert sum(told.endings.values()) == len(wanted)
    assert told.people == len(resolve(events))


def test_two_processes_find_what_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK", 2000)
    monkeypatch.setattr(run, "PART_BYTES", 3000)
    events = []
    for number in range(40):
        x = {"user_id": None, "anonymous_id": f"x{number}"}
        events.append(an_event("View", "10:00", **x))
        events.append(an_event("View", "10:02", user_id=f"u{number}"))
        events.append(an_event("", "10:05", type="identify", user_id=f"u{number}", anonymous_id=f"x{number}"))
        events.append(an_event("View", "10:06", **x))
    units = sources.files([a_file(tmp_path, lines_of(events))])
    assert len(units) > 5
    one, two = people_of(units), people_of(units, processes=2)
    assert one == two
    assert one[0].keys() == {f"u:u{number}" for number in range(40)}


def test_a_window_is_about_the_time_of_receipt_and_leaves_out_its_end(tmp_path):
    units = sources.files([a_file(tmp_path, lines_of(FOUR))])
    window = Window(FOUR[1].received_at, FOUR[3].received_at)
    everybody, found = people_of(units, window)
    assert everybody == {"u:u0": ["m2"], "u:u1": ["m1"]}
    assert (found.events, found.outside) == (2, 2)


def test_an_empty_stretch_of_time_is_an_error_that_says_what_there_is_instead(tmp_path):
    units = sources.files([a_file(tmp_path, lines_of(FOUR))])
    with pytest.raises(HistoryError, match="no event in this stretch of time; 4 lie outside it"):
        people_of(units, Window(since=START))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "nothing is in there"),
        (b"\n\n", "nothing is in there"),
        (b"a\nb\n", "2 lines are none, the first is 1"),
        (gzip.compress(b"a\n" * 1000, mtime=0)[:-20], "is no whole gzip file"),
        (b"\x1f\x8bno gzip at all", "is no whole gzip file"),
    ],
)
def test_a_file_of_no_events_is_an_error_that_says_why(tmp_path, content, message):
    (tmp_path / "events").write_bytes(content)
    with pytest.raises(HistoryError, match=message):
        people_of(sources.files([f"{tmp_path}/events"]))


def test_what_may_not_be_read_is_an_error_and_so_is_a_pipe(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HistoryError, match="pipe: is no file; several processes cannot read from a pipe"):
        sources.files([f"{tmp_path}/pipe"])
    path = a_file(tmp_path, lines_of(FOUR))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # whoever runs tests as root may read everything
    with pytest.raises(HistoryError, match=r"events.jsonl: Permission denied"):
        sources.files([path])


def test_a_file_that_is_larger_than_memory_is_written_bit_by_bit(tmp_path, monkeypatch):
    """Nobody can begin in the middle of a packed file: one process has all of it."""
    monkeypatch.setattr(parts, "MOST_WAITING", 500)
    writer = PartsWriter(Parts(tmp_path, "people", 3), "me")
    for number in range(100):
        writer.add(f"u:{number}", b"x" * 100)
        waiting = sum(map(len, writer._waiting.values()))
        assert waiting < 1000
    writer.flush()
    assert sum(len(its) for part in range(3) for its in Parts(tmp_path, "people", 3).grouped(part).values()) == 100


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_temporary_folder_is_an_error_that_says_which(tmp_path, monkeypatch, processes):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PartsWriter, "flush", fail)
    units = sources.files([a_file(tmp_path, lines_of(FOUR))])
    with pytest.raises(run.DiskError, match=f"{tempfile.gettempdir()}: No space left on device"):
        people_of(units, processes=processes)


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(HistoryError, match="there is no such file"):
        sources.files([f"{tmp_path}/events-*.jsonl"])
    with pytest.raises(HistoryError, match=r"is no file; for all files in a folder say .*/\*"):
        sources.files([str(tmp_path)])


def test_the_past_reaches_as_far_as_its_newest_event_unless_somebody_says_otherwise(tmp_path):
    units = sources.files([a_file(tmp_path, lines_of(FOUR))])
    for window, until in ((Window(), FOUR[3].received_at), (Window(until=UNTIL), UNTIL)):
        with run.gathered(units, window, 1, lambda *_: None) as past:
            assert past.until == millis(until)


def test_nothing_is_left_behind_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    units = sources.files([a_file(tmp_path, lines_of(FOUR))])
    people_of(units)
    with pytest.raises(HistoryError):
        people_of(units, Window(since=START + timedelta(days=9)))
    assert list((tmp_path / "tmp").iterdir()) == []


class Die(Keep):
    """Somebody kills the process."""

    def finish(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_an_error_and_no_silence(tmp_path):
    units = sources.files([a_file(tmp_path, lines_of(FOUR))])
    with pytest.raises(run.ProcessDiedError), run.gathered(units, Window(), 2, lambda *_: None) as past:
        list(past.each_part(Die))


def test_events_are_told_whole(tmp_path):
    """Nothing that an event carries is lost on its way over the disk, strange names included."""
    odd = an_event("X", "10:00", user_id="a\tb\n☂\u0000", properties={"€": "\u2028", "n": [1, {"x": None}]})
    units = sources.files([a_file(tmp_path, lines_of([odd]))])

    class Whole(Keep):
        def person(self, person, history):
            self.people[person] = history

    with run.gathered(units, Window(), 1, lambda *_: None) as past:
        [found] = past.each_part(Whole)
    assert found == {odd.person: [decode(lines_of([odd])[0])]}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_costs_no_line(tmp_path, pack):
    (tmp_path / "events").write_bytes(pack(b"\xef\xbb\xbf" + b"\r\n".join(lines_of(FOUR))))
    assert people_of(sources.files([f"{tmp_path}/events"]))[1].events == 4
