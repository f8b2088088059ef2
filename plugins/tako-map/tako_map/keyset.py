"""The keys that are known, in little memory."""

from __future__ import annotations

from hashlib import blake2b

BUCKETS = 16384
ENTRY = 9  # bytes: eight of the hash, one that says whether the input has shown the key
KNOWN, MET = 0, 1


class KeySet:
    """Keys by 78 bits of a hash: 14 choose the bucket, 64 are kept.

    A million keys take about 12 MB. Two different keys among a million are taken for one with a chance of 2e-12.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * BUCKETS
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str) -> None:
        """Take note of a key that the output has."""
        self._find(key, KNOWN)

    def meet(self, key: str) -> tuple[bool, bool]:
        """Take note of a key of the input; returns whether the output has it, and whether the input had it before."""
        state = self._find(key, MET)
        return state == KNOWN, state == MET

    def _find(self, key: str, mark: int) -> int | None:
        """Return what was known of a key, then mark it."""
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=10).digest()
        place, tail = int.from_bytes(digest[:2], "big") % BUCKETS, digest[2:]
        bucket = self._buckets[place]
        if bucket is None:
            bucket = self._buckets[place] = bytearray()
        at = bucket.find(tail)
        while at >= 0 and at % ENTRY:  # bytes of two entries that look like one
            at = bucket.find(tail, at + 1)
        if at < 0:
            bucket += tail
            bucket.append(mark)
            self._count += 1
            return None
        state = bucket[at + ENTRY - 1]
        bucket[at + ENTRY - 1] = max(state, mark)
        return state
