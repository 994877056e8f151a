"""Rendering in another process: the same mails, and no template can stop, slow down or read anything else."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.adapters.renderer import Limits, Renderer
from tidings.errors import TemplateError, TemporaryError
from tidings.rendering import render

QUICK = Limits(seconds=0.3)
BUSY = "{% set many = 'x' * 9000 %}{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}"


def write(folder: Path, body: str, name: str = "hello") -> None:
    """A message with this body."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "subject.txt").write_text("A subject")
    (folder / name / "body.html").write_text(body)


def workers_of(pid: int) -> list[int]:
    """The renderers that a process has started."""
    listed = subprocess.run(
        ["ps", "-ww", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [int(row[0]) for row in rows if int(row[1]) == pid and "rendering_worker" in row[2]]


def wait_until_gone(pid: int) -> None:
    """Until there is no such process, or nothing but its name."""
    for _ in range(500):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        if not state.strip() or state.startswith("Z"):
            return
        time.sleep(0.02)
    pytest.fail("it lives on")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Renderer, Path]]:
    """A renderer and its folder, in which a message says whatever it is told."""
    folder = tmp_path_factory.mktemp("templates")
    write(folder, "<p>{{ said }}</p>")
    with Renderer(str(folder)) as renderer:
        yield renderer, folder


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(said=plain)
def test_the_mail_is_the_one_that_this_process_would_have_made(shared: tuple[Renderer, Path], said: Any) -> None:
    """Whatever JSON can say survives the way there and back: integers of any size, every character."""
    renderer, folder = shared

    def made(by: Any) -> object:
        try:
            return by()
        except TemplateError as fault:
            return str(fault)

    facts = {"said": said}
    assert made(lambda: renderer.render("hello", facts)) == made(lambda: render("hello", facts, str(folder)))


HOSTILE = {
    "a format that is a gigabyte wide": ("{{ '%1000000000d' % 1 }}", "too much memory"),
    "a text that is": ("{{ 'a' * 10**9 }}", "too much memory"),
    "a filter that makes one": ("{{ ''.center(10**9) }}", "too much memory"),
    "a line that is indented by one": ("{{ 'x'|indent(10**9) }}", "too much memory"),
    "loops in a loop": (BUSY, "too long"),
    "a filter that never ends": ("{{ ('x' * 10**6)|wordwrap(1) }}", "too long"),
    "a number with a billion digits": ("{{ 9 ** (9 ** 9) }}", "too long|too much memory"),
    "a macro that calls itself": ("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", "line 1: it goes too deep"),
    "a file that includes itself": ("{% include 'hello/body.html' %}", "line 1: it goes too deep into itself"),
    "a file that extends itself": ("{% extends 'hello/body.html' %}", "line 1: it goes too deep into itself"),
    "five thousand brackets": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "it goes too deep into itself"),
    "thirty loops in each other": ("{% for a in 'x' %}" * 30 + "{% endfor %}" * 30, "SyntaxError"),
    "a body of a megabyte": ("{% for a in 'x' * 1000 %}{{ 'y' * 1000 }}{% endfor %}", "more than 500000 bytes"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
@pytest.mark.parametrize(("body", "fault"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_template_ends_within_its_limit(tmp_path: Path, body: str, fault: str) -> None:
    """As the fault that it is; and the next mail of the same renderer is made."""
    write(tmp_path, body)
    write(tmp_path, "<p>Good day</p>", "good")
    with Renderer(str(tmp_path), workers=1, limits=QUICK) as renderer:
        with pytest.raises(TemplateError, match=rf"^hello.*{fault}"):
            renderer.render("hello", {})
        assert renderer.render("good", {}).text == "Good day"


def test_a_hostile_template_holds_up_no_other_mail(tmp_path: Path) -> None:
    """While one worker is busy to the end of its time, the other makes mail after mail."""
    write(tmp_path, BUSY)
    write(tmp_path, "<p>Good day</p>", "good")
    faults: list[str] = []

    def be_hostile() -> None:
        try:
            renderer.render("hello", {})
        except TemplateError as fault:
            faults.append(str(fault))

    with Renderer(str(tmp_path), workers=2, limits=Limits(seconds=1.5)) as renderer:
        hostile = threading.Thread(target=be_hostile)
        hostile.start()
        made = 0
        while not faults:
            made += renderer.render("good", {}).text == "Good day"
        hostile.join()
    assert made > 10
    assert faults == ["hello: it takes too long"]


def test_many_threads_share_few_workers_and_each_gets_its_own_mail(tmp_path: Path) -> None:
    write(tmp_path, "<p>{{ said }}</p>")
    before, wrong = set(workers_of(os.getpid())), list[int]()

    def work(number: int) -> None:
        for _ in range(10):
            if renderer.render("hello", {"said": number}).text != str(number):
                wrong.append(number)

    with Renderer(str(tmp_path)) as renderer:
        threads = [threading.Thread(target=work, args=[number]) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert 0 < len(set(workers_of(os.getpid())) - before) <= max(2, os.cpu_count() or 1)


def test_a_worker_that_was_killed_is_replaced_and_its_mail_is_made(tmp_path: Path) -> None:
    """A system that is short of memory picks any process; the template has done nothing."""
    write(tmp_path, "<p>Good day</p>")
    before = set(workers_of(os.getpid()))
    with Renderer(str(tmp_path), workers=1) as renderer:
        renderer.render("hello", {})
        [pid] = set(workers_of(os.getpid())) - before
        os.kill(pid, signal.SIGKILL)
        assert renderer.render("hello", {}).text == "Good day"
        [other] = set(workers_of(os.getpid())) - before - {pid}
    wait_until_gone(other)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_worker_that_was_full_makes_no_other_mail(tmp_path: Path) -> None:
    """Who knows what it could not finish."""
    write(tmp_path, "{{ 'a' * 10**9 }}")
    write(tmp_path, "<p>Good day</p>", "good")
    before = set(workers_of(os.getpid()))
    with Renderer(str(tmp_path), workers=1) as renderer:
        renderer.render("good", {})
        first = set(workers_of(os.getpid())) - before
        with pytest.raises(TemplateError, match="too much memory"):
            renderer.render("hello", {})
        renderer.render("good", {})
        assert first
        assert not first & set(workers_of(os.getpid()))


def test_a_worker_that_gets_no_processor_is_not_the_templates_fault(tmp_path: Path) -> None:
    """It is stopped here; elsewhere the machine has too much to do. The mail is tried again later."""
    write(tmp_path, "<p>Good day</p>")
    before = set(workers_of(os.getpid()))
    with Renderer(str(tmp_path), workers=1, limits=Limits(patience=0.5)) as renderer:
        renderer.render("hello", {})
        [pid] = set(workers_of(os.getpid())) - before
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(TemporaryError):
            renderer.render("hello", {})
        assert renderer.render("hello", {}).text == "Good day"


def test_who_finds_every_worker_busy_comes_again(tmp_path: Path) -> None:
    write(tmp_path, BUSY)

    def be_hostile() -> None:
        with pytest.raises((TemplateError, TemporaryError)):
            renderer.render("hello", {})

    with Renderer(str(tmp_path), workers=1, limits=Limits(seconds=1.5, patience=0.2)) as renderer:
        first = threading.Thread(target=be_hostile)
        first.start()
        while renderer._places.qsize():
            time.sleep(0.001)
        with pytest.raises(TemporaryError, match="busy"):
            renderer.render("hello", {})
        first.join()


@pytest.mark.parametrize("python", ["/no/such/python", shutil.which("false")])
def test_a_renderer_that_cannot_be_started_is_nobodys_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    """Nothing is dead-lettered for a broken installation, or for want of memory."""
    write(tmp_path, "<p>Good day</p>")
    monkeypatch.setattr(sys, "executable", python)
    with Renderer(str(tmp_path)) as renderer, pytest.raises(TemporaryError, match="cannot be started"):
        renderer.render("hello", {})


def test_what_is_edited_is_rendered_next(tmp_path: Path) -> None:
    write(tmp_path, "<p>Good day</p>")
    with Renderer(str(tmp_path)) as renderer:
        renderer.render("hello", {})
        write(tmp_path, "<p>Good night</p>")
        os.utime(tmp_path / "hello" / "body.html", (1, 1))
        assert renderer.render("hello", {}).text == "Good night"


def test_facts_are_plain_data(shared: tuple[Renderer, Path]) -> None:
    with pytest.raises(TypeError):
        shared[0].render("hello", {"said": object()})


def test_facts_that_go_too_deep_are_a_fault_of_this_mail(shared: tuple[Renderer, Path]) -> None:
    """An event may be as deep as whoever reads it can bear; who writes it again bears a little less."""
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    for make in (shared[0].render, lambda *mail: render(*mail, folder=str(shared[1]))):
        with pytest.raises(TemplateError, match="hello: the facts go too deep"):
            make("hello", {"said": deep})


@pytest.mark.parametrize("file", ["subject.txt", "body.txt"])
def test_half_a_character_that_a_template_makes_is_named(tmp_path: Path, file: str) -> None:
    """And breaks no renderer."""
    write(tmp_path, "<p>Good day</p>")
    (tmp_path / "hello" / file).write_text("{{ '\\ud83d' }}")
    fault = pytest.raises(TemplateError, match=f"^hello/{file}: holds half a character")
    with Renderer(str(tmp_path), workers=1) as renderer, fault:
        renderer.render("hello", {})


def test_nothing_is_started_before_the_first_mail_and_all_ends_with_the_last() -> None:
    before = set(workers_of(os.getpid()))
    renderer = Renderer()
    assert set(workers_of(os.getpid())) == before
    renderer.close()


def test_workers_know_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a template might get at, by a hole in its sandbox, is one mail."""
    monkeypatch.setenv("TIDINGS_SECRET", "a secret of the right length")
    write(tmp_path, "<p>Good day</p>")
    before = set(workers_of(os.getpid()))
    with Renderer(str(tmp_path)) as renderer:
        renderer.render("hello", {})
        [pid] = set(workers_of(os.getpid())) - before
        environment = Path(f"/proc/{pid}/environ")
        if not environment.exists():
            pytest.skip("this system does not show the environment of a process")
        assert b"SECRET" not in environment.read_bytes()


PARENT = """
import sys
from tidings.adapters.renderer import Renderer
renderer = Renderer(sys.argv[1])
renderer.render("hello", {})
print("made", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, how: str) -> None:
    """However it ends."""
    write(tmp_path, "<p>Good day</p>")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        assert parent.stdout.readline() == "made\n"
        [worker] = workers_of(parent.pid)
        if how == "is killed":
            parent.kill()
        else:
            parent.stdin.close()
        parent.wait(30)
        wait_until_gone(worker)
