"""The reference pages of the documentation, made from the code when the site is built: a hook of mkdocs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mimodaq import functions
from mimodaq.config import _schema

ENTRIES = {
    "Top level": _schema.TopLevel,
    "`Fkt_main`": _schema.MainEntry,
    "A buffer (`RingBuffer`)": _schema.BufferEntry,
    "A function (`Functions`)": _schema.FunctionEntry,
    "A host (`hosts`)": _schema.HostEntry,
    "A link (`links`)": _schema.LinkEntry,
    "Disks (`disk`)": _schema.DiskEntry,
}

_ELSEWHERE = re.compile(r"\[[^\]]*\]\((?:\.\./)+((?:node|broker|client|config|tests|deploy)/[^)]*)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages to those that are files. Called by mkdocs."""
    for name, make in {"commands": commands, "setup": setup_keys, "functions": built_in_functions}.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name what lies elsewhere in the repository in place of a link to it. Called by mkdocs."""
    return _ELSEWHERE.sub(r"`\1`", markdown)


def commands() -> str:
    """Every command with its options, as `--help` has them."""
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "typer",
            "mimodaq.client.cli",
            "utils",
            "docs",
            "--name",
            "mimodaq",
            "--title",
            "Commands",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout


def setup_keys() -> str:
    """Every key of a setup file with its default and meaning, from the model that checks it."""
    parts = ["# Keys of a setup file", "[Setup files](../setup.md) has examples."]
    for title, model in ENTRIES.items():
        rows = [
            f"| `{name}` | {'required' if field.is_required() else _value(field.default)} | {field.description} |"
            for name, field in model.model_fields.items()
        ]
        parts.append("\n".join([f"## {title}\n", "| key | default | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def built_in_functions() -> str:
    """Every built-in function with its options and what it says of itself."""
    parts = ["# Built-in functions", "How they are used is in [Functions](../functions.md)."]
    for name in functions.BUILTINS:
        function = getattr(functions, name)
        parts.append(f"## {name}\n\n{_options(function)}\n\n{inspect.getdoc(function)}")
    return "\n\n".join(parts)


def _options(function: Callable[..., Any]) -> str:
    given = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    rows = [f"| `{p.name}` | `{p.annotation}` | {_value(p.default)} |".replace(" | None", " or None") for p in given]
    return "\n".join(["| option | type | default |", "|---|---|---|", *rows]) if rows else "It has no options."


def _value(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    return "" if default is None else f"`{default!r}`"
