"""Read a setup file and everything it refers to into a `Setup`, or say everything that is wrong with it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._entries import name_entries
from ._graph import check_graph
from ._model import FunctionSpec, Setup
from ._options import ConfigFiles, collect_options, unused_blocks
from ._overrides import OptionOverride, apply_overrides
from ._problems import Problem, Report, Where, nearest, nearest_file, show
from ._variables import substitute
from ._yaml import Document, KeyPath, read_document

if TYPE_CHECKING:
    from ._schema import Limits

_MAIN = "Fkt_main"
_MAIN_PATH = ("Functions", _MAIN)
_SECTIONS = ("RingBuffer", "Functions")


def load_setup(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Setup:
    """Read the setup file `path`, changed by `overrides` (the texts `KEY=VALUE` of `--set`).

    Paths in the file are relative to its folder, or else to the current one. The modules of the functions
    are not imported and their options not checked; the graph of buffers and functions is.

    Raises `SetupErrors` with all problems found.
    """
    from ._schema import MainEntry, TopLevel, read_entry
    from ._sections import read_buffers, read_disk, read_functions, read_hosts, read_links

    path = Path(path)
    folder = Path(os.path.abspath(path)).parent
    report = Report()
    document = _open(path, report)
    variables = _take_variables(document, report)
    for section in _SECTIONS:
        name_entries(document, section, report)
    understood = not report
    top_keys = [key for key in TopLevel.model_fields if key not in ("variables", "input")]
    overridden = apply_overrides(overrides, document, variables, top_keys, report)
    substitute(document, variables, report)
    main_table = (document.data.get("Functions") or {}).pop(_MAIN, {})

    top = read_entry(TopLevel, document.data, "", document, (), report)
    top = top or TopLevel(RingBuffer={}, Functions={})
    main = read_entry(MainEntry, main_table, _MAIN, document, _MAIN_PATH, report) or MainEntry()
    hosts = read_hosts(document, report)
    buffers = read_buffers(document, hosts, report)
    links = read_links(document, buffers, report)
    functions, connected = read_functions(document, buffers, hosts, folder, report)

    files = ConfigFiles(folder, path.parent, variables, report)
    common = None
    if main.config_file is not None:
        common = files.read(main.config_file, document.where(*_MAIN_PATH, "config_file"))
    places = _places(document)
    functions, warnings = _add_options(functions, document, common, files, overridden, places, report)
    general = _general(common, report)
    limits = [(top, document, ()), (general, common or document, ("general",)), (main, document, _MAIN_PATH)]
    setup = Setup(
        path=Path(os.path.abspath(path)),
        buffers=buffers,
        functions=functions,
        output_directory=Path(os.path.abspath(folder / os.path.expanduser(top.output_directory))),
        gui=top.GUI_control,
        keyboard=top.KBD_control,
        events_limit=_limit("runevents", "events", limits, report),
        duration_s=_limit("runtime", "duration", limits, report),
        hosts=hosts,
        broker=top.broker,
        links=links,
        disk=read_disk(document, hosts, folder, report),
        variables=variables,
        config_files=files.paths,
        warnings=tuple(warnings),
        places=places,
    )
    if understood and connected:
        report.extend(check_graph(setup))
    if report:
        raise report.errors()
    return setup


def _open(path: Path, report: Report) -> Document:
    shown = str(path)
    document = None
    if os.path.isdir(path):
        names = sorted(str(path / entry.name) for entry in path.glob("*setup*.y*ml"))
        report.add(Where(shown), "this is a folder, not a setup file", names[0] if names else "")
    elif not os.path.exists(path):
        near = nearest_file(path)
        report.add(Where(shown), "there is no such file", str(path.with_name(near)) if near else "")
    else:
        document = read_document(path, shown, report)
    if document is None:
        raise report.errors()
    return document


def _take_variables(document: Document, report: Report) -> dict[str, Any]:
    """The `variables:` block, taken out of the document; `input:` at the top is short for one of them."""
    block = document.data.pop("variables", None)
    variables: dict[str, Any] = {}
    if isinstance(block, dict):
        for name, value in block.items():
            if isinstance(name, str) and name.isidentifier():
                variables[name] = value
            else:
                message = f"variables: {show(name)} cannot be a name: use letters, digits and '_'"
                report.add(document.where("variables", name), message)
    elif block is not None:
        report.add(document.where("variables"), f"variables: expected 'name: value' lines, found {show(block)}")
    if "input" in document.data:
        if "input" in variables:
            report.add(document.where("input"), "'input' is given here and under 'variables:': keep one")
        variables["input"] = document.data.pop("input")
    return variables


def _places(document: Document) -> dict[KeyPath, Where]:
    """Where the keys of buffers and functions stand, by name of the entry."""
    return {path: where for section in _SECTIONS for path, where in document.below(section) if path}


def _add_options(
    functions: dict[str, FunctionSpec],
    document: Document,
    common: Document | None,
    files: ConfigFiles,
    overridden: Sequence[OptionOverride],
    places: dict[KeyPath, Where],
    report: Report,
) -> tuple[dict[str, FunctionSpec], list[Problem]]:
    """The functions with their options; notes in `places` where each option stands."""
    complete = {}
    shared: list[tuple[Document, KeyPath]] = [(document, ("FunctionConfigs",))]
    if common is not None:
        shared.append((common, ()))
    for name, spec in functions.items():
        path = ("Functions", name)
        layers = [(source, (*block, spec.function)) for source, block in shared]
        own_name = document.data["Functions"][name].get("config_file")
        if isinstance(own_name, str):
            own = files.read(own_name, document.where(*path, "config_file"))
            if own is not None:
                layers.append((own, ()))
        inline = (*path, "config")
        layers.append((document, inline))
        mine = [o for o in overridden if o.target == (spec.function if o.by_function else name)]
        options, option_places = collect_options(layers, inline, mine, report)
        complete[name] = dataclasses.replace(spec, config=options)
        places.update({(name, "config", *key): where for key, where in option_places.below()})
    called = [spec.function for spec in functions.values()]
    for override in overridden:
        if override.by_function and override.target not in called and "" not in called:
            message = f"no function is called {override.target!r}"
            report.add(override.where, message, nearest(override.target, called))
    return complete, unused_blocks(shared, called)


def _general(common: Document | None, report: Report) -> Limits:
    """The limits in block `general` of the common configuration file; its other keys are nobody's."""
    from ._schema import Limits, read_entry

    block = common.data.get("general") if common else None
    if common is None or block is None:
        return Limits()
    if not isinstance(block, dict):
        report.add(common.where("general"), f"general: expected 'key: value' lines, found {show(block)}")
        return Limits()
    table = {key: block[key] for key in Limits.model_fields if key in block}
    return read_entry(Limits, table, "general", common, ("general",), report) or Limits()


def _limit(name: str, alias: str, tables: Sequence[tuple[Limits, Document, KeyPath]], report: Report) -> Any:
    """The limit from the first table that has it (the top of the file wins); None for no limit."""
    answer = None
    for table, document, path in reversed(tables):
        values = [value for key in (name, alias) if (value := getattr(table, key)) is not None]
        if len(values) > 1:
            report.add(document.where(*path, alias), f"{alias!r} and {name!r} are the same limit: keep one")
        if values:
            answer = values[0]
    return answer or None
