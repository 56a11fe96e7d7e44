"""Read YAML and remember the line of every key, so that a mistake can be named where it was written.

Three things differ from `yaml.safe_load`. A key given twice is an error, unless one of the two has no value
or both have the same (mimoCoRB's own examples do both). `1e-3` is a number, as in YAML 1.2. Values are built
separately for every alias, so that changing one place never changes another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ._problems import Report, Where, show

KeyPath = tuple[Hashable, ...]

_MAX_BYTES = 10_000_000
_MAX_VALUES = 200_000
_MAX_DEPTH = 100
_MAP = "tag:yaml.org,2002:map"
_SEQ = "tag:yaml.org,2002:seq"
_MERGE = "tag:yaml.org,2002:merge"
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; numbers such as `1e-3` and `5E6` are floats."""


class _Dumper(yaml.SafeDumper):
    """The counterpart of `_Loader`: quotes a text that would be read back as a number."""

    def ignore_aliases(self, data: object) -> bool:
        return True


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


class _Branch:
    """A key of a document: where it stands, if that is known, and the keys below it."""

    __slots__ = ("keys", "where")

    def __init__(self) -> None:
        self.where: Where | None = None
        self.keys: dict[Hashable, _Branch] = {}

    def places(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Where]]:
        """What is known here and below, each with its path from `path` on."""
        if self.where is not None:
            yield path, self.where
        for key, branch in self.keys.items():
            yield from branch.places((*path, key))


@dataclass(slots=True)
class Document:
    """The content of one YAML text and where each of its keys stands."""

    file: str
    data: Any
    _root: _Branch = field(default_factory=_Branch, repr=False)

    def where(self, *path: Hashable) -> Where:
        """The place of the key at `path`, or of the nearest key above it that is known."""
        branch, found = self._root, self._root.where
        for key in path:
            if key not in branch.keys:
                break
            branch = branch.keys[key]
            found = branch.where or found
        return found or Where(self.file)

    def below(self, *path: Hashable) -> Iterator[tuple[KeyPath, Where]]:
        """All known places at and below `path`, which is left out of their paths."""
        branch = self._root
        for key in path:
            if key not in branch.keys:
                return
            branch = branch.keys[key]
        yield from branch.places()

    def note(self, path: KeyPath, where: Where) -> None:
        """The key at `path` stands at `where`."""
        self._branch(path).where = where

    def move(self, old: KeyPath, new: KeyPath) -> None:
        """Let everything at and below `old` be found at `new`, and nothing else there."""
        branch = self._branch(old[:-1]).keys.pop(old[-1], None)
        if branch is not None:
            self._branch(new[:-1]).keys[new[-1]] = branch

    def replace(self, path: KeyPath, where: Where) -> None:
        """Everything at and below `path` now comes from `where`."""
        branch = self._branch(path)
        branch.keys.clear()
        branch.where = where

    def _branch(self, path: KeyPath) -> _Branch:
        branch = self._root
        for key in path:
            branch = branch.keys.setdefault(key, _Branch())
        return branch


def read_document(path: Path, shown: str, report: Report) -> Document | None:
    """The YAML mapping in the file `path`, called `shown` in messages.

    Returns None, and reports why, if the file cannot be read, is not UTF-8, is not YAML, is empty, or
    holds something else than a mapping.
    """
    before = len(report)
    text = _read_text(path, shown, report)
    if text is None:
        return None
    document = parse_text(text, shown, report)
    if document.data is None:
        if len(report) == before:
            report.add(Where(shown), "the file is empty: expected lines of the form 'key: value'")
        return None
    if not isinstance(document.data, dict):
        found = show(document.data)
        report.add(Where(shown, 1), f"expected lines of the form 'key: value', found {found}")
        return None
    return document


def parse_text(text: str, shown: str, report: Report) -> Document:
    """Any YAML text; what cannot be read is reported and left out (`data` is then None or incomplete)."""
    document = Document(shown, None)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        line, message = _plain_words(error, text)
        report.add(Where(shown, line), message)
    except RecursionError:
        report.add(Where(shown), f"lists or mappings are nested more than {_MAX_DEPTH} deep")
    else:
        if node is not None:
            try:
                document.data = _Builder(document, loader, report).build(node, ())
            except _TooMuchError as error:
                report.add(Where(shown, error.line), str(error))
    return document


def dump_text(data: Any) -> str:
    """`data` (mappings, lists, plain values) as YAML that `read_document` reads back unchanged."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)


def _read_text(path: Path, shown: str, report: Report) -> str | None:
    where = Where(shown)
    try:
        if not os.path.isfile(path):
            report.add(where, "this is not a file that can be read")
            return None
        if path.stat().st_size > _MAX_BYTES:
            report.add(where, f"cannot read: larger than {_MAX_BYTES // 1_000_000} MB, so it is not a setup")
            return None
        content = path.read_bytes()
    except OSError as error:
        report.add(where, f"cannot read: {error.strerror}")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        report.add(Where(shown, line), f"not UTF-8 text ({found}): save the file with the encoding UTF-8")
        return None


class _TooMuchError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Builder:
    """Turns a tree of YAML nodes into plain values, noting places and reporting what is wrong."""

    def __init__(self, document: Document, loader: _Loader, report: Report) -> None:
        self._document = document
        self._loader = loader
        self._report = report
        self._values = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._limit(node, len(path))
        match node:
            case yaml.MappingNode(tag=tag) if tag == _MAP:
                return self._mapping(node, path)
            case yaml.SequenceNode(tag=tag) if tag == _SEQ:
                items = []
                for index, child in enumerate(node.value):
                    self._document.note((*path, index), self._where(child))
                    items.append(self.build(child, (*path, index)))
                return items
            case yaml.ScalarNode():
                return self._scalar(node)
        self._report.add(self._where(node), f"the YAML tag {node.tag!r} is not supported here")
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        own: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged.update(self._merged(value_node, 0))
                continue
            key = self._key(key_node)
            if key in own and _is_empty(value_node):
                continue
            if key in own and not _is_empty(own[key][1]):
                self._compare(own[key], (key_node, value_node), (*path, key))
            own[key] = (key_node, value_node)
        table: dict[Any, Any] = {}
        for key, (key_node, value_node) in (merged | own).items():
            self._document.note((*path, key), self._where(key_node))
            table[key] = self.build(value_node, (*path, key))
        return table

    def _compare(self, first: tuple[yaml.Node, yaml.Node], again: tuple[yaml.Node, yaml.Node], path: KeyPath) -> None:
        """Report a key given twice with different values."""
        if self.build(first[1], path) != self.build(again[1], path):
            lines = f"first in line {_line(first[0])}"
            self._report.add(
                self._where(again[0]), f"{show(path[-1])} is given twice, {lines}, with different values: remove one"
            )

    def _merged(self, node: yaml.Node, depth: int) -> dict[Any, tuple[yaml.Node, yaml.Node]]:
        """The pairs that `<<: node` brings in; in a list of mappings the first one wins."""
        self._limit(node, depth)
        pairs: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        if isinstance(node, yaml.SequenceNode):
            for child in reversed(node.value):
                pairs.update(self._merged(child, depth + 1))
        elif isinstance(node, yaml.MappingNode):
            own: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
            for key_node, value_node in node.value:
                if key_node.tag == _MERGE:
                    pairs.update(self._merged(value_node, depth + 1))
                else:
                    own[self._key(key_node)] = (key_node, value_node)
            pairs.update(own)
        else:
            self._report.add(self._where(node), "'<<' needs a mapping or a list of mappings, such as *name")
        return pairs

    def _key(self, node: yaml.Node) -> Hashable:
        if isinstance(node, yaml.ScalarNode):
            key: Hashable = self._scalar(node)
            return key
        self._report.add(self._where(node), "a key must be a single word or number, not a list or mapping")
        return f"line {_line(node)}"

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            value = self._loader.construct_object(node)
            hash(value)  # `!!seq` or `!!set` before a text gives a list or set
        except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            # a tag such as !!int or !!bool before a text it does not fit: PyYAML raises whatever comes up
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            message = f"{show(node.value)} is not a valid {kind}; put it in quotes if it is meant as text"
            self._report.add(self._where(node), message)
            return None
        return value

    def _limit(self, node: yaml.Node, depth: int) -> None:
        """Aliases can describe more values than there is memory, or contain themselves."""
        self._values += 1
        if self._values > _MAX_VALUES:
            raise _TooMuchError(_line(node), f"more than {_MAX_VALUES} values, aliases counted each time")
        if depth > _MAX_DEPTH:
            raise _TooMuchError(_line(node), f"nested more than {_MAX_DEPTH} deep (an alias inside itself?)")

    def _where(self, node: yaml.Node) -> Where:
        return Where(self._document.file, _line(node))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_empty(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _plain_words(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Line and explanation of a syntax error; PyYAML's own words where there is nothing plainer."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, f"the character U+{int(error.character):04X} cannot stand in a text file"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 0, f"not YAML: {' '.join(str(error).split())}"
    problem, context = error.problem or "", error.context or ""
    line = error.problem_mark.line + 1
    opened = error.context_mark.line + 1 if error.context_mark else line
    if "'\\t'" in problem:
        return line, "a tab is used for indentation: use spaces"
    if "mapping values are not allowed" in problem:
        return line, "a ':' where none can be: check the indentation, or put the text in quotes"
    if "could not find expected ':'" in problem:
        return opened, "a key without ':' after it, or wrong indentation"
    if "unknown escape" in problem:
        return line, "an unknown '\\' sequence in a text in double quotes: use single quotes"
    if "that cannot start any token" in problem:
        return line, f"a text that starts with {problem.split()[2]} must be in quotes"
    if "duplicate anchor" in context:
        return line, f"the anchor '&{context.split(chr(39))[1]}' is defined twice, first in line {opened}"
    if "while scanning a quoted scalar" in context:
        return opened, "a quote that is opened here is not closed"
    if "flow" in context:
        bracket = "[" if "sequence" in context else "{"
        return (
            line,
            f"a comma, or the end of the {bracket!r} of line {opened}, is missing before this",
        )
    if "expected <block end>" in problem:
        return line, f"this does not fit the block that starts in line {opened}: check indentation and quotes"
    if "undefined alias" in problem:
        name = problem.split("'")[1]
        return line, f"'*{name}' is used, but no '&{name}' stands before it"
    if "expected a single document" in context:
        return line, "a second document starts with '---': one file holds one setup"
    return line, f"not YAML: {problem} {context}".rstrip()
