"""How long to wait before a retry, read from headers and bodies."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADERS = (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0))
"""Headers that say how long to wait, the most exact first, and their units in seconds."""
TOO_MANY_REQUESTS = 429
EARLIEST_TIMESTAMP = 1e9
"""A number of seconds from here on is a time since 1970, from a thousand times as many on in milliseconds."""
_RESET = re.compile(r"(?:x-|anthropic-)?rate-?limit(?:bysize)?-(?:[a-z-]+-)?reset(?:-[a-z-]+)?")
_FIELD = re.compile(r"\b(r|remaining|t|reset)=(\d+)")
"""What the header ``RateLimit`` says: ``"default";r=0;t=30``, or ``limit=10, remaining=0, reset=30`` in earlier drafts
(https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers)."""
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (3600.0, 60.0, 1.0, 0.001)


def retry_after(headers: Mapping[str, str], status: int | None = None) -> float | None:
    """Read how many seconds to wait, from one of ``HEADERS``: a number, or a date in Retry-After (RFC 9110, 10.2.3).

    Of a 429 that has none, it's the time until its limits are reset (``x-ratelimit-reset-requests: 6m0s`` at OpenAI,
    ``anthropic-ratelimit-tokens-reset`` with a date): the longest of those of which nothing remains, or the shortest
    of all if something remains of each. Nonsense, negative and endless values are None.
    """
    for name, unit in HEADERS:
        text = headers.get(name, "").strip(" \t")
        seconds = float(text) * unit if _NUMBER.fullmatch(text) else _seconds_until(text)
        if math.isfinite(seconds):
            return seconds
    return _reset(headers) if status == TOO_MANY_REQUESTS else None


def parse_duration(text: str) -> float:
    """Read a duration as Go and protobuf write it, in seconds: "6m0s", "20ms", "0.5s"; NaN if it's none."""
    match = _DURATION.fullmatch(text) if text else None
    if match is None:
        return math.nan
    return sum(float(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)


def _reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until enough limits are reset."""
    limits = list(_limits_in(headers))
    used_up = [seconds for seconds, remaining in limits if remaining == "0"]
    return max(used_up) if used_up else min((seconds for seconds, _ in limits), default=None)


def _limits_in(headers: Mapping[str, str]) -> Iterator[tuple[float, str]]:
    """List the limits that headers tell: the seconds until each is reset, and what remains of it."""
    for name in headers:
        if name == "ratelimit":
            yield from _limits_of_policy(headers[name])
        elif "limit" in name and _RESET.fullmatch(name):
            seconds = _seconds_until_reset(headers[name].strip())
            if math.isfinite(seconds):
                yield seconds, headers.get(name.replace("reset", "remaining"), "").strip()


def _limits_of_policy(text: str) -> Iterator[tuple[float, str]]:
    """List the limits of a header ``RateLimit``: it may have several policies."""
    policies = text.split(",") if ";" in text else [text]
    for policy in policies:
        fields: dict[str, str] = dict(_FIELD.findall(policy))
        seconds = fields.get("t") or fields.get("reset")
        if seconds is not None:
            yield float(seconds), fields.get("r") or fields.get("remaining") or ""


def _seconds_until_reset(text: str) -> float:
    """Read when a limit is reset: seconds, a duration, a time since 1970 or a date. Returns seconds, NaN if none."""
    if not _NUMBER.fullmatch(text):
        seconds = parse_duration(text)
        return _seconds_until(text) if math.isnan(seconds) else seconds
    number = float(text)
    if number < EARLIEST_TIMESTAMP:
        return number
    timestamp = number / 1000 if number >= 1000 * EARLIEST_TIMESTAMP else number
    return max(0.0, timestamp - datetime.now(UTC).timestamp())


def _seconds_until(text: str) -> float:
    """Return the seconds until a date, as HTTP or as RFC 3339 writes it; NaN where the text isn't one."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(text)
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            return max(0.0, (date - datetime.now(UTC)).total_seconds())
        except (ValueError, OverflowError, TypeError, IndexError):  # whatever the parser makes of odd bytes
            continue
    return math.nan
