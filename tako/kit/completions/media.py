"""What a model draws and says aloud: parts of a whole reply, or its ``raw``; of a stream, its end's ``raw``."""

from __future__ import annotations

from typing import Any

from tako.kit.images import join_base64
from tako.loose import as_object, text_of


def image_blocks(images: list[Any] | None) -> list[dict[str, Any]]:
    """List the images that a model drew (OpenRouter's form, https://openrouter.ai/docs), as requests have them."""
    found = [as_object((as_object(image) or {}).get("image_url")) or {} for image in images or ()]
    return [{"type": "image_url", "image_url": image} for image in found if text_of(image.get("url"))]


class Media:
    """Gathers the images and the sound of a stream (``delta.audio``: ``id``, pieces of ``data`` and ``transcript``)."""

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._audio: dict[str, Any] = {}
        self._data: list[str] = []
        self._transcript: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._images or self._audio)

    @property
    def message(self) -> dict[str, Any]:
        """What came, as the message of a whole reply has it."""
        said: dict[str, Any] = {}
        if self._images:
            said["images"] = self._images
        if self._audio:
            said["audio"] = {**self._audio, "data": join_base64(self._data), "transcript": "".join(self._transcript)}
        return said

    def add(self, images: list[Any] | None, audio: Any) -> None:
        """Take what one delta has of them."""
        self._images += image_blocks(images)
        piece = as_object(audio) or {}
        self._audio.update(piece)
        self._data.append(text_of(piece.get("data")))
        self._transcript.append(text_of(piece.get("transcript")))
