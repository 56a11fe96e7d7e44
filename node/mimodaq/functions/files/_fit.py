"""How the fields of a file go into the fields of a buffer, decided before the first event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._errors import FilesError, MismatchError
from mimodaq.functions.files._eventfile import EventFile

Cast = Literal["safe", "same_kind"]


class Transfer(NamedTuple):
    """One field of the buffer and where its values come from."""

    target: str
    source: str
    factor: float | None

    def copy(self, values: npt.NDArray[Any], slots: npt.NDArray[Any]) -> None:
        """Convert values (n, samples) of the file into slots (n, samples) of the buffer."""
        if self.factor is None:
            np.copyto(slots, values, casting="same_kind")
        else:
            np.multiply(values, self.factor, out=slots, casting="same_kind")


def fit(
    events: EventFile,
    dtype: np.dtype[Any],
    buffer: str,
    *,
    channels: Mapping[str, str] | None = None,
    scale: Mapping[str, float] | float | None = None,
    cast: Cast = "safe",
) -> tuple[Transfer, ...]:
    """The transfers that fill events of `dtype` from a file; MismatchError lists all that does not fit.

    channels: field of the buffer to field of the file, where the names differ.
    scale: factor, for all fields or by field of the buffer; a scaled field may lose digits (float64 to float32).
    cast: `safe` lets values change their type only if none can lose anything, `same_kind` also to fewer digits.
    """
    targets, sources = dtype.names or (), events.dtype.names or ()
    names = dict(channels or {})
    factors = dict(scale) if isinstance(scale, Mapping) else dict.fromkeys(targets, scale)
    unknown = sorted({*names, *factors} - set(targets))
    if unknown:
        raise FilesError(
            f"options `channels` and `scale`: buffer {buffer} has no field {unknown}, it has {list(targets)}."
        )
    transfers, faults = [], []
    for target in targets:
        source, factor = names.get(target, target), factors.get(target)
        expected = dtype[target]
        if source not in sources:
            faults.append(f"field `{target}`: expected in column `{source}`, found {', '.join(sources)}")
            continue
        found = events.dtype[source]
        transfers.append(Transfer(target, source, None if factor is None else float(factor)))
        if found.shape != expected.shape:
            faults.append(f"field `{target}`: expected {_samples(expected)}, found {_samples(found)}")
        if not _may_cast(found.base, expected.base, factor, cast):
            faults.append(f"field `{target}`: expected {expected.base}, found {found.base}")
    if faults:
        raise MismatchError(
            f"replaying {events.path} into buffer {buffer}: {'; '.join(faults)}. Change the buffer in the setup, name "
            "the columns with `channels`, or convert with `scale` or `cast: same_kind`."
        )
    return tuple(transfers)


def _may_cast(found: np.dtype[Any], expected: np.dtype[Any], factor: float | None, cast: Cast) -> bool:
    if factor is not None:
        return expected.kind == "f"
    return bool(np.can_cast(found, expected, casting=cast))


def _samples(kind: np.dtype[Any]) -> str:
    return f"{int(np.prod(kind.shape, dtype=int))} samples"
