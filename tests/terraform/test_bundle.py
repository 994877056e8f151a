"""The functions' archive holds what the functions need, and is enough for them."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support import require
from tests.terraform.bundle import function_files, unpack
from tests.terraform.environment import sample
from tests.terraform.module import FOLDER, ROOT

ANSWER_ONE_REQUEST_EACH = """
import sys
from pathlib import Path

import functions_framework

from tidings.rendering import template_names

root = Path.cwd()
paths = {
    "collect": ("/", 200), "deliver": ("/", 405), "engage": ("/u/nothing", 404), "hooks": ("/hooks/nobody", 404),
    "privacy": ("/privacy/erase", 405),
}
for target, (path, status) in paths.items():
    app = functions_framework.create_app(target=target, source="main.py", signature_type="http")
    answer = app.test_client().get(path)
    assert answer.status_code == status, (target, answer.status_code, answer.text)
ours = [name for name in sys.modules if name.partition(".")[0] in ("functions", "templates", "tidings")]
assert ours and all(Path(sys.modules[name].__file__).is_relative_to(root) for name in ours), ours
assert template_names() == sorted(path.parent.name for path in root.glob("templates/*/subject.txt"))
"""

AT_THE_ROOT = {"main.py", "requirements.txt"}


def test_the_archive_holds_everything_of_the_packages_but_what_is_for_a_local_run():
    packages = ("functions", "rules", "templates", "tidings")
    everything = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    in_the_store = {file for file in everything if re.match(r"rules/([^/]+\.(json|yaml)|segments/|stories/)", file)}
    local_run = {file for file in everything if file.startswith("tidings/local/")} | {"functions/local.py"}
    moved_up = {"functions/main.py", "functions/requirements.txt"}
    assert set(function_files()) == everything - in_the_store - local_run - moved_up | AT_THE_ROOT
    assert "rules/policy/sending.yaml" in function_files()


def test_terraform_sees_the_same_files(tmp_path: Path):
    require(None if shutil.which("terraform") else "terraform is not installed")
    for package in ("functions", "rules", "templates", "tidings"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "terraform").mkdir()
    locals_only = (FOLDER / "bundle.tf").read_text("utf-8").partition("\ndata ")[0]
    (tmp_path / "terraform" / "bundle.tf").write_text(locals_only)
    console = subprocess.run(
        ["terraform", f"-chdir={tmp_path / 'terraform'}", "console"],
        input="jsonencode(local.function_files)",
        env=os.environ | {"CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    [answer] = re.findall(r'^"\{.*\}"$', console.stdout, re.MULTILINE)
    assert json.loads(json.loads(answer)) == function_files()


def test_the_functions_answer_with_nothing_but_the_archive_and_their_environment(tmp_path: Path):
    """-S leaves out the editable installation, which would find what the archive lacks."""
    unpack(tmp_path)
    libraries = [str(tmp_path), sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]]
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path += {libraries!r}\n{ANSWER_ONE_REQUEST_EACH}"],
        cwd=tmp_path,
        env={"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"} | sample(),  # so that no credentials are asked for
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
