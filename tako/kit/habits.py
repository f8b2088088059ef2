"""What servers do with a connection after a reply: keep it, or close it although they promised to keep it.

After a stream, llama.cpp says "keep-alive", sends the last chunk, and closes a moment later. A request that crosses
that end may have been read, so it can't be sent again. So a connection that has just become free rests for a moment, in
which its end shows. Once a server has been seen to keep its connections after replies of a kind, that is left out.
"""

from __future__ import annotations

from time import monotonic

MOMENT = 0.02
"""Seconds within which a server closes a connection that it doesn't keep."""
MANY = 1000
"""Kinds of replies that are remembered."""

Kind = tuple[str, int, str | None]
"""A reply's URL, status and type: what a server's habit depends on."""


class Habits:
    """What is known of the servers behind one pool of connections."""

    def __init__(self) -> None:
        self.kept_after: set[Kind] = set()
        """Kinds of replies after which connections could be used again."""

    def pause(self, since: float, kind: Kind) -> float:
        """Return the seconds until a connection may be used again that is free ``since`` then, after such a reply."""
        return 0.0 if kind in self.kept_after else since + MOMENT - monotonic()

    def learn(self, kind: Kind, *, kept: bool) -> None:
        """Remember whether a connection could be used again after a reply of this kind."""
        if not kept:
            self.kept_after.discard(kind)
        elif len(self.kept_after) < MANY:
            self.kept_after.add(kind)
