"""Durations and moments as the console and the events write them."""

from __future__ import annotations

_DAY_SECONDS = 86_400


def to_console(nanoseconds: int) -> str:
    """Return a duration for people: ``2.5s``, ``1m, 2s``, ``10h, 1m, 3s``."""
    whole = nanoseconds // 1_000_000_000
    if whole < 60:
        return to_seconds(nanoseconds)
    minutes, seconds = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m, {seconds}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h, {minutes}m, {seconds}s"


def to_seconds(nanoseconds: int) -> str:
    """Return a duration in seconds with one decimal, however long it is."""
    return f"{nanoseconds / 1e9:.1f}s"


def to_iso(nanoseconds: int) -> str:
    """Return a duration as events write it: days and seconds, never hours or minutes."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    days, seconds = divmod(seconds, _DAY_SECONDS)
    date = f"P{days}D" if days else "P"
    if days and not seconds and not fraction:
        return date
    return f"{date}T{seconds}{fraction_digits(fraction)}S"


def to_timestamp(epoch_ns: int) -> str:
    """Return a moment as events write it: UTC, milliseconds, truncated."""
    date, time, fraction = _split(epoch_ns)
    return f"{date}T{time}.{fraction // 1_000_000:03d}Z"


def to_log_timestamp(epoch_ns: int) -> str:
    """Return a moment as the log file writes it: UTC, whole seconds."""
    date, time, _ = _split(epoch_ns)
    return f"{date}T{time}Z"


def to_console_timestamp(epoch_ns: int) -> str:
    """Return a moment as the console writes it, with as many digits as it needs."""
    date, time, fraction = _split(epoch_ns)
    return f"{date} {time}{fraction_digits(fraction)} UTC"


def fraction_digits(nanoseconds: int) -> str:
    """Return the decimals of a second: none, or 3, 6 or 9 digits behind a point."""
    if not nanoseconds:
        return ""
    if not nanoseconds % 1_000_000:
        return f".{nanoseconds // 1_000_000:03d}"
    if not nanoseconds % 1_000:
        return f".{nanoseconds // 1_000:06d}"
    return f".{nanoseconds:09d}"


def _split(epoch_ns: int) -> tuple[str, str, int]:
    """Return date, time and the rest in nanoseconds, by the Gregorian calendar."""
    seconds, fraction = divmod(epoch_ns, 1_000_000_000)
    days, seconds = divmod(seconds, _DAY_SECONDS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    # Days are counted from 0000-03-01, so that the leap day is the last of its year.
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{year:04d}-{month:02d}-{day:02d}", f"{hour:02d}:{minute:02d}:{second:02d}", fraction
