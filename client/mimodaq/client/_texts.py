"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def rate(events_per_s: float) -> str:
    """An event rate with three digits."""
    return f"{_scaled(events_per_s)}Hz"


def size(bytes_: float) -> str:
    """A number of bytes with three digits."""
    return f"{_scaled(bytes_)}B"


def _scaled(value: float) -> str:
    for prefix in ("", "k", "M", "G"):
        if abs(value) < 999.5:
            return f"{value:.3g} {prefix}"
        value /= 1000
    return f"{value:.3g} T"


def clock(seconds: float) -> str:
    """A duration as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def count(n: int) -> str:
    """A whole number with thin groups of three digits."""
    return f"{n:,}".replace(",", "\u202f")


def aligned(rows: Sequence[tuple[str, ...]], right: set[int] | None = None) -> str:
    """A table whose columns stand under each other; `right` = those that end at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in (right or ()) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
