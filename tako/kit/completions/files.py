"""Files as OpenAI's Chat Completions have them: PDF, and audio as WAV or MP3.

https://developers.openai.com/api/docs/guides/file-inputs: other documents, and addresses, are for the Responses API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.media import canonical_type

if TYPE_CHECKING:
    from tako.kit.files import Media

PDF = "application/pdf"
SOUNDS = {"audio/wav": "wav", "audio/mpeg": "mp3"}


def encode_file(media: Media) -> dict[str, Any] | None:
    """Return the chunk of a file, or None if the API has none for it."""
    mime = canonical_type(media.mime)
    if media.id:
        return {"type": "file", "file": {"file_id": media.id}} if mime in ("", PDF) else None
    if media.url:
        return None
    if mime in SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": SOUNDS[mime]}}
    if mime == PDF:
        return {"type": "file", "file": {"filename": media.file_name, "file_data": media.data_url}}
    return None
