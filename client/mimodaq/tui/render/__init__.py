"""Pictures of values as lines of text: pure functions, no terminal, no Textual."""

from ._checks import checks
from ._event import WAVEFORM, event_head, event_lines
from ._frame import Bar, alarm_line, footer, screens_line, state_bar, too_small
from ._glyphs import LEVEL_STYLES, LEVELS, bar, in_ascii, sparkline, state_glyph, state_style, text_in_ascii
from ._histogram import CountedField, Look, histogram_head, histogram_lines
from ._line import Line, Span, cell, clean, dimmed, fit, marked, plain, spread, width_of, wrap
from ._links import links
from ._logs import log_head, log_line, log_record, tail
from ._overview import Choice, Row, details, overview_head, overview_line, overview_rows, worst
from ._tables import alarm_details, alarm_rows, diff_lines, no_alarm, run_head, run_line, setup_lines
from ._topology import State as TopologyState
from ._topology import drawing, drawing_width, tree
from ._waveform import Axis, Channel, braille, channel_lines, envelope, limits

__all__ = [
    "LEVELS",
    "LEVEL_STYLES",
    "WAVEFORM",
    "Axis",
    "Bar",
    "Channel",
    "Choice",
    "CountedField",
    "Line",
    "Look",
    "Row",
    "Span",
    "TopologyState",
    "alarm_details",
    "alarm_line",
    "alarm_rows",
    "bar",
    "braille",
    "cell",
    "channel_lines",
    "checks",
    "clean",
    "details",
    "diff_lines",
    "dimmed",
    "drawing",
    "drawing_width",
    "envelope",
    "event_head",
    "event_lines",
    "fit",
    "footer",
    "histogram_head",
    "histogram_lines",
    "in_ascii",
    "limits",
    "links",
    "log_head",
    "log_line",
    "log_record",
    "marked",
    "no_alarm",
    "overview_head",
    "overview_line",
    "overview_rows",
    "plain",
    "run_head",
    "run_line",
    "screens_line",
    "setup_lines",
    "sparkline",
    "spread",
    "state_bar",
    "state_glyph",
    "state_style",
    "tail",
    "text_in_ascii",
    "too_small",
    "tree",
    "width_of",
    "worst",
    "wrap",
]
