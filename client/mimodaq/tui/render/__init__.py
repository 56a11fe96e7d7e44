"""Pictures of values as lines of text: pure functions, no terminal, no Textual."""

from ._checks import checks
from ._frame import Bar, alarm_line, footer, screens_line, state_bar, too_small
from ._glyphs import LEVEL_STYLES, LEVELS, bar, in_ascii, sparkline, state_glyph, state_style, text_in_ascii
from ._line import Line, Span, cell, clean, fit, marked, plain, spread, width_of, wrap
from ._logs import log_head, log_line, log_record, tail
from ._overview import Choice, Row, details, overview_head, overview_line, overview_rows, worst

__all__ = [
    "LEVELS",
    "LEVEL_STYLES",
    "Bar",
    "Choice",
    "Line",
    "Row",
    "Span",
    "alarm_line",
    "bar",
    "cell",
    "checks",
    "clean",
    "details",
    "fit",
    "footer",
    "in_ascii",
    "log_head",
    "log_line",
    "log_record",
    "marked",
    "overview_head",
    "overview_line",
    "overview_rows",
    "plain",
    "screens_line",
    "sparkline",
    "spread",
    "state_bar",
    "state_glyph",
    "state_style",
    "tail",
    "text_in_ascii",
    "too_small",
    "width_of",
    "worst",
    "wrap",
]
