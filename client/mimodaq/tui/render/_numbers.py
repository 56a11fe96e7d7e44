"""Numbers as they stand on the screen: short, with a unit, and still while they hardly change."""

from __future__ import annotations

from datetime import UTC, datetime


def count(number: int) -> str:
    """A whole number in groups of three; from ten million on rounded."""
    return (
        f"{number:,}" if number < 10_000_000 else f"{number / 1e6:,.1f}M" if number < 1e10 else f"{number / 1e9:,.1f}G"
    )


def rate(per_s: float) -> str:
    """An event rate in three or more digits."""
    if per_s >= 1e6:
        return f"{per_s / 1e6:.2f}M"
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.1f}" if per_s >= 10 or per_s == 0 else f"{per_s:.2f}"


def short_rate(per_s: float) -> str:
    """An event rate with its unit, in few letters: `9.8 kHz`."""
    for prefix, factor in (("M", 1e6), ("k", 1e3)):
        if per_s >= factor * 0.9995:
            return f"{per_s / factor:.3g} {prefix}Hz"
    return f"{per_s:.3g} Hz"


def megabytes(per_s: float) -> str:
    """Millions of bytes a second."""
    value = per_s / 1e6
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def size(bytes_: float) -> str:
    """A number of bytes with its unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if bytes_ < 999.5:
            return f"{bytes_:.0f} {unit}" if unit == "B" or bytes_ >= 100 else f"{bytes_:.3g} {unit}"
        bytes_ /= 1000
    return f"{bytes_:.3g} TB"


def percent(fraction: float) -> str:
    """With one digit where that matters; a little is never shown as nothing."""
    value = fraction * 100
    if 0 < value < 0.1:
        return "<.1%"
    return f"{value:.1f}%" if value < 10 else f"{value:.0f}%"


def clock(seconds: float) -> str:
    """A time span as h:mm:ss."""
    whole = max(0, int(seconds))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def span(seconds: float) -> str:
    """A time span in two or three letters and a unit: `14 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"


def time_of_day(utc_ns: int) -> str:
    """hh:mm:ss, UTC."""
    return datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).strftime("%H:%M:%S")


def date_and_time(utc_ns: int) -> str:
    """Day and time, UTC."""
    return datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def milliseconds(seconds: float) -> str:
    """A small time with its sign."""
    return f"{seconds * 1000:+.1f} ms"
