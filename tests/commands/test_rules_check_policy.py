"""`tidings rules check` on what stands beside the rules: the categories, and how fast mail may leave."""

from pathlib import Path

import pytest

from tidings.commands.main import main


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A folder of rules with an empty folder of policy."""
    folder = tmp_path / "rules" / "policy"
    folder.mkdir(parents=True)
    return folder


def check(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[int, list[str]]:
    """Exit code and lines."""
    code = main(["rules", "check", str(path), *options])
    return code, capsys.readouterr().out.splitlines()


def test_every_fault_is_found_beside_the_rules(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With file and line; the mailer and the pages would otherwise be the first to say so."""
    (policy / "categories.yaml").write_text("- id: offers\n- id: Cart\n  trackd: false\n- id: offers\n")
    (policy / "sending.yaml").write_text("breaker:\n  over: 1 day\n")
    code, said = check(capsys, policy.parent)
    assert code == 1
    assert [line.partition(" - ")[0] for line in said] == [
        f'{policy}/categories.yaml:2: error [1].id: "Cart"',
        f"{policy}/categories.yaml:3: error [1].trackd: false",
        f'{policy}/sending.yaml:2: error breaker.over: "1 day"',
        "2 files: 3 errors, 0 warnings",
    ]


@pytest.mark.parametrize("named", ["", "categories.yaml"])
def test_a_policy_can_be_looked_at_alone(policy: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    """Its folder, or one file of it; neither is taken for a rule."""
    (policy / "categories.yaml").write_text("- id: offers\n")
    assert check(capsys, policy / named, "--strict") == (0, ["1 file: 0 errors, 0 warnings"])


def test_what_is_no_yaml_is_a_fault(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor UTF-8."""
    for written in (b"- id: [", b"- id: caf\xe9\n", b""):
        (policy / "categories.yaml").write_bytes(written)
        assert check(capsys, policy)[0] == 1


def test_a_file_that_nobody_reads_is_told_of(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes `category.yaml` has no categories, and would not hear of it."""
    (policy / "category.yaml").write_text("- id: offers\n")
    code, said = check(capsys, policy.parent, "--strict")
    assert code == 1
    assert said[0].startswith(f"{policy}/category.yaml: warning: is not read")
