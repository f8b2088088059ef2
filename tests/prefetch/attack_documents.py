"""The attacks as a document, text, sound or film meets them: the same list, and what its types add."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import attack_addresses, attack_responses, attack_urls
from .cases import Case, served
from .scripted import CANARY, PNG, answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC = b"%PDF-1.7"
"""As long as a PNG's, so that every length of the list stays true."""
PDF = MAGIC + CANARY + bytes(64)
FILES = {
    "application/pdf": PDF,
    "audio/mpeg": b"ID3\x04" + CANARY,
    "audio/wav": b"RIFF\0\0\0\0WAVE" + CANARY,
    "audio/ogg": b"OggS\0" + CANARY,
    "video/mp4": b"\0\0\0\x18ftypmp42" + CANARY,
    "video/webm": b"\x1aE\xdf\xa3" + CANARY,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": b"PK\x03\x04" + CANARY,
    "image/png": PNG,
}
TEXTS = ("text/plain", "text/csv", "text/html", "text/markdown", "application/json")


def as_documents(cases: Sequence[Case]) -> Iterator[Case]:
    """Yield the cases with a PDF wherever they have a PNG."""
    for case in cases:
        if case.rule == "type":  # there are more types, and other ones
            continue
        answers = [[_as_document(piece) for piece in _pieces(script)] for script in case.answers or [answer()]]
        yield replace(case, name=f"{case.name}, as a document", answers=answers)


def _pieces(script: bytes | Sequence[bytes]) -> list[bytes]:
    return [script] if isinstance(script, bytes) else list(script)


def _as_document(piece: bytes) -> bytes:
    return piece.replace(PNG[:8], MAGIC).replace(b"image/png", b"application/pdf").replace(PNG[:7], MAGIC[:7])


def types() -> Iterator[Case]:
    """Yield declared types, and the bytes that belie them."""
    for declared, body in FILES.items():
        yield served(f"{declared} as it is", answer(body, type=declared), None)
        yield served(f"text declared as {declared}", answer(b"<html>CANARY-9d1f</html>", type=declared), "magic")
        yield served(f"{declared} cut", answer(body[:1], type=declared), "magic")
        yield served(f"{declared} with nothing in it", answer(b"", type=declared), "magic")
        for other, bytes_of_another in FILES.items():
            if other != declared:
                yield served(f"{other} declared as {declared}", answer(bytes_of_another, type=declared), "magic")
    for declared in TEXTS:
        yield served(f"{declared} as it is", answer(b"root:x:0:0", type=declared), None)
        yield served(f"{declared} with nothing in it", answer(b"", type=declared), "magic")
        for other, body in FILES.items():
            yield served(f"{other} declared as {declared}", answer(body, type=declared), "magic")
    for declared in (
        "application/octet-stream",
        "application/zip",
        "image/svg+xml",
        "image/jpg",
        "text/x-python",
        "*/*",
    ):
        yield served(f"type: {declared}", answer(PDF, type=declared), "type")


def limits() -> Iterator[Case]:
    """Yield sizes by kind: its own limit, else that of all."""
    for declared, option in {
        "application/pdf": "max_document_bytes",
        "audio/wav": "max_audio_bytes",
        "video/mp4": "max_video_bytes",
    }.items():
        size, sent = len(FILES[declared]), answer(FILES[declared], type=declared)
        for named, policy in ((option, {option: size - 1}), ("max_bytes", {"max_bytes": size - 1})):
            yield served(f"{declared} over {named}", sent, "length", policy=policy, option=named)
        yield served(f"{declared} at its limit", sent, None, policy={option: size, "max_bytes": 1})
    small = {"max_document_bytes": 1, "max_audio_bytes": 1}
    yield served("an image has the limit of all", answer(PNG), None, policy=small)


_SAME = [
    *attack_addresses.CASES,
    *attack_urls.CASES,
    *attack_responses.sizes(),
    *attack_responses.codings(),
    *attack_responses.statuses(),
]
CASES = (*as_documents(_SAME), *types(), *limits())
