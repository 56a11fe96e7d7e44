"""What all renderers give: lines made of pieces of text, each with the name of a style.

Pure functions. A style is a name (`good`, `warning`, `alarm`, `shout`, `dim`, `strong`, `title`, `key`, `chosen`,
or empty); which colour that is, if any, is decided where lines are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""Text and name of its style."""
Line = tuple[Span, ...]

_CONTROL: Final = dict.fromkeys((*range(32), *range(127, 160)), "·") | {9: " "}


def clean(text: str) -> str:
    """Text from elsewhere without anything a terminal would act on, on one line."""
    return text.translate(_CONTROL)


def plain(line: Line) -> str:
    """The text alone."""
    return "".join(text for text, _ in line)


def dimmed(line: Line) -> Line:
    """The same, of a time that is over: nothing old may look live."""
    return tuple((text, "dim") for text, _ in line)


def width_of(line: Line) -> int:
    """Cells it takes."""
    return sum(cell_len(text) for text, _ in line)


def marked(line: Line) -> str:
    """The text with its styles, for tests: `[alarm]text[/]`."""
    return "".join(f"[{style}]{text}[/]" if style else text for text, style in line)


def fit(line: Iterable[Span], width: int) -> Line:
    """Exactly `width` cells: cut, or filled with blanks."""
    done: list[Span] = []
    left = width
    for text, style in line:
        size = cell_len(text)
        if size > left:
            done.append((set_cell_size(text, left), style))
            return tuple(done)
        done.append((text, style))
        left -= size
    if left:
        done.append((" " * left, ""))
    return tuple(done)


def cell(text: str, width: int, style: str = "", *, right: bool = False) -> Span:
    """One column of a table; what does not fit ends in an ellipsis."""
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, max(0, width - 1)) + "…"[:width], style
    blanks = " " * (width - size)
    return (blanks + text if right else text + blanks), style


def spread(left: Iterable[Span], right: Iterable[Span], width: int) -> Line:
    """`left` at the left and `right` at the right end; if there is no room, `right` gives way."""
    before, after = tuple(left), tuple(right)
    gap = width - width_of(before) - width_of(after)
    if gap < 1:
        return fit(before, width)
    return (*before, (" " * gap, ""), *after)


def wrap(text: str, width: int) -> list[str]:
    """Text broken at blanks, and within words that are too long."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        current = ""
        for word in clean(paragraph).split(" "):
            rest = word
            if current and cell_len(current) + 1 + cell_len(rest) <= width:
                current += " " + rest
                continue
            if current:
                lines.append(current)
            while cell_len(rest) > width and len(rest) > 1:
                fits = max(1, len(set_cell_size(rest, width).rstrip()))
                lines.append(rest[:fits])
                rest = rest[fits:]
            current = rest
        lines.append(current)
    return lines
