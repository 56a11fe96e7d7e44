"""Where each field of the output buffer of `build_events` comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mimodaq.config import nearest
from mimodaq.functions._surroundings import SetupProblem

EVENT: Final = ("quality", "n_sources", "sources")
"""What can be told about the event itself."""
DT: Final = "dt_ns"
METADATA: Final = {
    "counter": np.dtype("i8"),
    "timestamp": np.dtype("f8"),
    "deadtime": np.dtype("f8"),
    DT: np.dtype("f8"),
}
"""What can be told about each source beside its fields; a field of that name comes first."""

Dtypes = Mapping[str, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Origin:
    """What fills a field of the output buffer."""

    field: str
    """Name in the output buffer."""
    source: int
    """Number of the source, -1 for what is told about the event."""
    content: str
    """A field of the source; or one of METADATA, or of EVENT."""
    is_field: bool


class _Choice:
    """What the fields of the output can be filled with."""

    def __init__(self, sources: Dtypes) -> None:
        self.sources = sources
        self._names = list(sources)

    def of(self, field: str, buffer: str, content: str) -> Origin | None:
        """The origin `buffer.content`, None if there is no such thing."""
        if buffer not in self.sources:
            return None
        is_field = content in (self.sources[buffer].names or ())
        if not is_field and content not in METADATA:
            return None
        return Origin(field, self._names.index(buffer), content, is_field)

    def dtype(self, origin: Origin) -> np.dtype[Any]:
        """Type and shape of what comes from there."""
        if origin.is_field:
            return self.sources[self._names[origin.source]][origin.content]
        return np.dtype((METADATA[origin.content], (1,)))

    def written(self, origin: Origin) -> str:
        return f"{self._names[origin.source]}.{origin.content}"

    def qualified(self) -> Iterator[tuple[str, str, str]]:
        """Every name `<buffer>_<content>` with its parts."""
        for buffer, dtype in self.sources.items():
            for content in dict.fromkeys((*(dtype.names or ()), *METADATA)):
                yield f"{buffer}_{content}", buffer, content

    def by_name(self, field: str) -> list[Origin]:
        """What a field of this name means by itself: one origin, several if that is ambiguous."""
        qualified = [self.of(field, buffer, content) for name, buffer, content in self.qualified() if name == field]
        if qualified:
            return [origin for origin in qualified if origin]
        holders = [buffer for buffer, dtype in self.sources.items() if field in (dtype.names or ())]
        return [origin for buffer in holders if (origin := self.of(field, buffer, field))]

    def names(self) -> list[str]:
        """Everything a field can be called without saying more."""
        plain = [field for dtype in self.sources.values() for field in dtype.names or ()]
        return [*EVENT, *(name for name, _, _ in self.qualified()), *(f for f in plain if plain.count(f) == 1)]


def find_origins(
    output: str, dtype: np.dtype[Any], sources: Dtypes, mapping: Any
) -> tuple[list[Origin], list[SetupProblem]]:
    """The origin of every field of the buffer `output`, and what is wrong with the fields or with `mapping`."""
    choice = _Choice(sources)
    told, problems = _read_mapping(output, dtype, choice, mapping)
    origins = []
    for field in dtype.names or ():
        if field in told:
            origin = told[field]
        elif field in EVENT:
            origin = Origin(field, -1, field, False)
        else:
            found = choice.by_name(field)
            if len(found) != 1:
                problems.append(_without_origin(output, field, found, choice))
                continue
            origin = found[0]
        if origin is not None:
            origins.append(origin)
            misfit = _misfit(origin, dtype[field], choice)
            if misfit:
                key = ("config", "fields", field) if field in told else ("RB_assign", output)
                problems.append(SetupProblem(key, f"field {field!r} of {output}: {misfit}"))
    return origins, problems


def _read_mapping(
    output: str, dtype: np.dtype[Any], choice: _Choice, mapping: Any
) -> tuple[dict[str, Origin | None], list[SetupProblem]]:
    """The origins given in the option `fields`; None for one that is wrong, which is a problem already."""
    told: dict[str, Origin | None] = {}
    problems = []
    if not isinstance(mapping, Mapping):
        example = f"{{chA: {next(iter(choice.sources))}.chA}}"
        return {}, [SetupProblem(("config", "fields"), f"fields: expected lines like {example}, found {mapping!r}")]
    for field, written in mapping.items():
        key = ("config", "fields", str(field))
        if field not in (dtype.names or ()):
            known = dtype.names or ()
            message = f"fields: {output} has no field {field!r}; it has {', '.join(known)}"
            problems.append(SetupProblem(key, message, nearest(field, known)))
            continue
        buffer, _, content = str(written).partition(".")
        told[field] = choice.of(field, buffer, content)
        if told[field] is None:
            known = tuple(f"{b}.{c}" for _, b, c in choice.qualified())
            message = f"fields: {field} cannot be filled with {written!r}: BUFFER.FIELD of the buffers read is expected"
            problems.append(SetupProblem(key, message, nearest(written, known)))
    return told, problems


def _without_origin(output: str, field: str, found: list[Origin], choice: _Choice) -> SetupProblem:
    key = ("RB_assign", output)
    if found:
        ways = " or ".join(choice.written(origin) for origin in found)
        first = choice.written(found[0])
        return SetupProblem(
            key,
            f"field {field!r} of {output} may be {ways}: call it {first.replace('.', '_')}, "
            f"or say which with 'fields: {{{field}: {first}}}'",
        )
    message = (
        f"nothing fills the field {field!r} of {output}: name it after a field of a buffer read, <buffer>_<field>, "
        f"or one of {', '.join(EVENT)}, or say with 'fields: {{{field}: BUFFER.FIELD}}' what it is"
    )
    return SetupProblem(key, message, nearest(field, choice.names()))


def _misfit(origin: Origin, place: np.dtype[Any], choice: _Choice) -> str:
    """Why what fills a field does not fit into it; empty if it does."""
    kind, shape = place.base, place.shape
    if origin.source < 0:
        bits = len(choice.sources) if origin.content == "sources" else 7
        if shape != (1,) or kind.kind not in "iu" or kind.itemsize * 8 - (kind.kind == "i") < bits:
            return f"an integer of {bits} bits or more is needed, one an event; it is {_short(place)}"
        return ""
    given = choice.dtype(origin)
    if given.shape != shape:
        return f"{choice.written(origin)} has {given.shape[0]} samples, the field has {shape[0]}"
    is_time = origin.content == DT and not origin.is_field
    is_cut = given.base.kind in "iu" and given.base.itemsize == 8 and kind.kind not in "iu"  # numpy calls that safe
    if is_cut or not np.can_cast(given.base, kind, "same_kind" if is_time else "safe"):
        return f"{choice.written(origin)} is {given.base.name}, which {kind.name} does not hold without loss"
    return ""


def _short(dtype: np.dtype[Any]) -> str:
    return f"{dtype.base.name} with {dtype.shape[0]} samples" if dtype.shape != (1,) else dtype.base.name
