"""Do what a page of the documentation says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_SHOWN = {"text", "console"}
"""What is there to be looked at."""
_PATIENCE_S = 100.0


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Language, name of the file or "", and text of every block of a page."""
    for language, title, text in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if language not in _SHOWN:
            yield language, title, text


def environment_with_commands() -> dict[str, str]:
    """That of these tests, with the commands of mimodaq on the path."""
    return {**os.environ, "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]}


def execute(page: str, folder: Path) -> str:
    """Do what a page says, in one shell after the other that go on where the last one was; returns what was printed."""
    environment = environment_with_commands()
    where, printed = folder, []
    for language, title, text in blocks(page):
        if title:
            (where / title).write_text(text, encoding="utf-8")
        if language == "yaml":
            continue
        if language == "sh":
            command = ["bash", "-e", "-c", f"{text}\npwd > {folder}/.where"]
        else:
            command = [sys.executable, title] if title and is_program(text) else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
        assert not done.returncode, f"{text}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout)
        if language == "sh":
            where = Path((folder / ".where").read_text().strip())
    return "\n".join(printed)


def keys_of(page: str, section: str) -> set[str]:
    """What is explained in a section of a page: the words in the first column of its tables."""
    text = (DOCS / page).read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return {key for line in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for key in re.findall(r"`(\w+)`", line)}


def is_program(text: str) -> bool:
    """Whether a file does something by itself."""
    return "print(" in text
