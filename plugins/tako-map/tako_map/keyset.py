"""The keys that are known, and what their answers were made from, in little memory."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

BUCKETS = 16384
TAIL = 8
ENTRY = TAIL + 4 + 1  # bytes: of the key's hash, of the row's digest, one that says who has the key
KNOWN, MET = 0, 1
UNKNOWN = bytes(4)
"""The digest of a row of which none is recorded."""


class Meeting(NamedTuple):
    """What was known of a key of the input: the output has it, ``before`` this row the input had it.

    ``same`` is false where the output's answer was made from other cells.
    """

    done: bool = False
    before: bool = False
    same: bool = True


class KeySet:
    """Keys by 78 bits of a hash: 14 choose the bucket, 64 are kept.

    A million keys take about 17 MB. Two different keys among a million are taken for one with a chance of 2e-12.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * BUCKETS
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, digest: str | None = None) -> None:
        """Take note of a key that the output has, and of the digest of its row (eight hexadecimal digits)."""
        bucket, at = self._find(key)
        if at < 0:
            self._append(bucket, key, digest, KNOWN)

    def meet(self, key: str, digest: str | None = None) -> Meeting:
        """Take note of a key of the input."""
        bucket, at = self._find(key)
        if at < 0:
            self._append(bucket, key, digest, MET)
            return Meeting()
        there, mark = bytes(bucket[at + TAIL : at + ENTRY - 1]), bucket[at + ENTRY - 1]
        bucket[at + ENTRY - 1] = MET
        same = there == UNKNOWN or digest is None or there == _bytes(digest)
        return Meeting(mark == KNOWN, mark == MET, same)

    def _append(self, bucket: bytearray, key: str, digest: str | None, mark: int) -> None:
        bucket += _hash(key)[2:] + _bytes(digest)
        bucket.append(mark)
        self._count += 1

    def _find(self, key: str) -> tuple[bytearray, int]:
        """Return a key's bucket, and its place there, or -1."""
        hashed = _hash(key)
        place, tail = int.from_bytes(hashed[:2], "big") % BUCKETS, hashed[2:]
        bucket = self._buckets[place]
        if bucket is None:
            bucket = self._buckets[place] = bytearray()
        at = bucket.find(tail)
        while at >= 0 and at % ENTRY:  # bytes of two entries that look like one
            at = bucket.find(tail, at + 1)
        return bucket, at


def _hash(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=2 + TAIL).digest()


def _bytes(digest: str | None) -> bytes:
    return bytes.fromhex(digest) if digest is not None else UNKNOWN
