"""Every reason for which the pre-fetch refuses, under a stable name."""

from __future__ import annotations

from typing import Literal, get_args

from tako.errors import UrlPrefetchError

Rule = Literal[
    "url",
    "scheme",
    "userinfo",
    "host",
    "port",
    "http",
    "dns",
    "address",
    "metadata",
    "connect",
    "tls",
    "timeout",
    "protocol",
    "redirect",
    "redirects",
    "status",
    "length",
    "coding",
    "type",
    "magic",
]
"""The names; `UrlPrefetchError.rule` and the audit log's `rule` hold one of them. docs/prefetch.md explains each."""

RULES: tuple[str, ...] = get_args(Rule)


class Refusal(Exception):  # noqa: N818 - it is what was decided; fetch.py makes the error of it
    """What a rule refused. ``reason`` has nothing of the response in it, and no resolved address.

    ``option`` is what `UrlPrefetchError.option` will be, ``remedy`` the same in words where there is more to say.
    """

    def __init__(self, rule: Rule, reason: str, *, option: str | None = None, remedy: str = "") -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason
        self.option = option
        self.remedy = remedy or option

    def as_error(self, host: str, hops: int, kind: str) -> UrlPrefetchError:
        """Make the error that the caller sees. ``host`` is that of the URL that the caller gave, at every hop."""
        hop = f"after redirect {hops} (the log tako.prefetch names each hop) " if hops else ""
        remedy = f"; {self.remedy} would allow it" if self.remedy else ""
        text = f"can't fetch the {kind} from {host or 'its URL'}: {hop}{self.reason} (rule: {self.rule}){remedy}"
        return UrlPrefetchError(text, rule=self.rule, host=host or None, option=self.option)
