"""The functions' archive as Terraform builds it, file by file."""

import re
import shutil
from pathlib import Path

from tests.terraform.module import ROOT, fileset, local


def function_files() -> dict[str, str]:
    """Name in the archive to path in the repository: what `local.function_files` is."""
    moved = dict(re.findall(r'"([^"]+)" = "([^"]+)"', local("function_files").partition("for file in")[0]))
    left_out = re.compile(local("left_out"))
    rest = {file: file for file in fileset(ROOT, local("function_packages")) if not left_out.search(file)}
    return moved | rest


def unpack(folder: Path) -> None:
    """Put every file of the archive into this folder."""
    for name, source in function_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, folder / name)
