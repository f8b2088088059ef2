"""Whether servers keep a connection open after a reply, or close it although they promised to keep it.

After a stream, llama.cpp says "keep-alive", sends the last chunk, and closes a moment later. A request that crosses
that end may have been read, so it can't be sent again. So a connection that has just become free rests for a moment, in
which its end shows. Once a server has been seen to keep its connections after replies of a kind, that is left out.
"""

from __future__ import annotations

from time import monotonic

CLOSE_DELAY = 0.02
"""Seconds within which a server closes a connection that it doesn't keep."""
MAX_REMEMBERED = 1000
"""Entries in each memory of a transport: kinds of replies, URLs, hosts behind proxies. A full one is emptied."""

ReplyKind = tuple[str, int, str | None]
"""A reply's URL, status and type: what a server's habit depends on."""


class KeepAliveHistory:
    """What the servers behind one pool of connections did after earlier replies."""

    def __init__(self) -> None:
        self.kept_open_after: set[ReplyKind] = set()
        """Kinds of replies after which connections could be used again."""

    def delay(self, since: float, kind: ReplyKind) -> float:
        """Return the seconds until a connection that's been free since ``since`` may be used, after such a reply."""
        return 0.0 if kind in self.kept_open_after else since + CLOSE_DELAY - monotonic()

    def record(self, kind: ReplyKind, *, is_kept: bool) -> None:
        """Remember whether a connection could be used again after a reply of this kind."""
        if not is_kept:
            self.kept_open_after.discard(kind)
        else:
            if len(self.kept_open_after) >= MAX_REMEMBERED:  # full: what still comes is learned again
                self.kept_open_after.clear()
            self.kept_open_after.add(kind)
