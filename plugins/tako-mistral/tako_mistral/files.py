"""Files as Mistral's chunks (https://docs.mistral.ai/capabilities/document_ai/document_qna, .../audio)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.media import canonical_type

if TYPE_CHECKING:
    from tako.kit.files import Media


DOCUMENTS = (
    "application/pdf",
    "application/vnd.openxmlformats",
    "application/vnd.oasis.opendocument",
    "application/epub",
    "application/msword",
    "application/rtf",
)
"""The beginnings of the document types that Mistral reads."""


def encode_file(media: Media) -> dict[str, Any] | None:
    """Return the chunk of a file; None for video and text, which the API doesn't accept."""
    if media.id:
        return {"type": "file", "file_id": media.id}
    if media.kind == "audio":
        return {"type": "input_audio", "input_audio": media.url or media.data}
    if not (media.kind == "document" and media.url) and not canonical_type(media.mime).startswith(DOCUMENTS):
        return None
    name = {"document_name": media.name} if media.name else {}
    return {"type": "document_url", "document_url": media.url or media.data_url, **name}
