"""The keys that are done, with a digest of the row of each, in little memory."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

BUCKETS = 16384
TAIL = 8
ENTRY = TAIL + 4 + 1  # bytes: of the key's hash, of the row's digest, and one for where the key is
IN_OUTPUT, IN_INPUT = 0, 1
NO_DIGEST = bytes(4)
"""Stands for a row without a recorded digest."""


class KeyState(NamedTuple):
    """What is known of a key of the input: whether the output has it, and whether an earlier row has it.

    ``is_same`` is false if the output's answer was made from other cells.
    """

    is_done: bool = False
    is_duplicate: bool = False
    is_same: bool = True


class KeySet:
    """Keys by 78 bits of a hash: 14 bits choose the bucket, which stores the other 64.

    A million keys need about 17 MB. The chance that two of a million keys have the same bits is 2e-12.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * BUCKETS
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, digest: str | None = None) -> None:
        """Add a key that the output has, and the digest of its row (eight hexadecimal digits)."""
        bucket, start = self._find(key)
        if start < 0:
            self._append(bucket, key, digest, IN_OUTPUT)

    def visit(self, key: str, digest: str | None = None) -> KeyState:
        """Return what is known of a key of the input, and add it."""
        bucket, start = self._find(key)
        if start < 0:
            self._append(bucket, key, digest, IN_INPUT)
            return KeyState()
        recorded, location = bytes(bucket[start + TAIL : start + ENTRY - 1]), bucket[start + ENTRY - 1]
        bucket[start + ENTRY - 1] = IN_INPUT
        is_same = recorded == NO_DIGEST or digest is None or recorded == _bytes(digest)
        return KeyState(location == IN_OUTPUT, location == IN_INPUT, is_same)

    def _append(self, bucket: bytearray, key: str, digest: str | None, location: int) -> None:
        bucket += _hash(key)[2:] + _bytes(digest)
        bucket.append(location)
        self._count += 1

    def _find(self, key: str) -> tuple[bytearray, int]:
        """Return a key's bucket, and the start of its entry there, or -1."""
        hashed = _hash(key)
        number, tail = int.from_bytes(hashed[:2], "big") % BUCKETS, hashed[2:]
        bucket = self._buckets[number]
        if bucket is None:
            bucket = self._buckets[number] = bytearray()
        start = bucket.find(tail)
        while start >= 0 and start % ENTRY:  # bytes of two entries that look like one
            start = bucket.find(tail, start + 1)
        return bucket, start


def _hash(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=2 + TAIL).digest()


def _bytes(digest: str | None) -> bytes:
    return bytes.fromhex(digest) if digest is not None else NO_DIGEST
