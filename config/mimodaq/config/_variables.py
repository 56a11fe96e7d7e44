"""`${name}` in the texts of a setup, replaced by what `variables:` or `--set name=VALUE` says.

Only a setup with a `variables:` block is touched, so `$` signs in the labels of other setups stay as they
are. `$${` stands for a literal `${`. A text that is nothing but `${name}` becomes the value itself, a number
for example; inside a longer text the value is written out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from ._problems import Report, nearest
from ._yaml import Document, KeyPath

_REFERENCE = re.compile(r"\$\$\{|\$\{([^\W\d]\w*)\}")


def substitute(document: Document, variables: Mapping[str, Any], report: Report) -> None:
    """Replace every reference in the values of `document`, reporting those that have no value."""
    if variables:
        document.data = _walk(document.data, (), document, variables, report)


def escape(data: Any) -> Any:
    """A copy of `data` that `substitute` turns back into `data`, whatever the variables are."""
    match data:
        case str():
            return data.replace("${", "$${")
        case dict():
            return {key: escape(value) for key, value in data.items()}
        case list():
            return [escape(value) for value in data]
    return data


def _walk(value: Any, path: KeyPath, document: Document, variables: Mapping[str, Any], report: Report) -> Any:
    match value:
        case dict():
            return {k: _walk(v, (*path, k), document, variables, report) for k, v in value.items()}
        case list():
            return [_walk(v, (*path, i), document, variables, report) for i, v in enumerate(value)]
        case str() if "${" in value:
            for match in _REFERENCE.finditer(value):
                name = match[1]
                if name and variables.get(name) is None:
                    _report_missing(name, path, document, variables, report)
            whole = _REFERENCE.fullmatch(value)
            if whole and whole[1]:
                return copy.deepcopy(variables.get(whole[1]))
            return _REFERENCE.sub(lambda m: str(variables.get(m[1])) if m[1] else "${", value)
    return value


def _report_missing(name: str, path: KeyPath, document: Document, variables: Mapping[str, Any], report: Report) -> None:
    if name in variables:
        message = f"the variable {name!r} has no value: add --set {name}=VALUE"
        report.add(document.where(*path), message)
    else:
        message = f"unknown variable '${{{name}}}': declare it under 'variables:' (a plain '${{' is '$${{')"
        report.add(document.where(*path), message, nearest(name, variables))
