"""What a stream holds beside text, reasoning and calls: images, citations, and what tools of the vendor's side did.

Source: ContentBlockStart and ContentBlockDelta of the API reference.
"""

from __future__ import annotations

from typing import Any

from tako.fold import arguments
from tako.kit.images import join_base64
from tako.loose import as_array, as_object, text_of


class Asides:
    """Puts such blocks together again, as a whole reply has them; ``content`` lists them with their places."""

    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[str]] = {}

    @property
    def content(self) -> list[dict[str, Any]]:
        """The blocks in order; of a block with citations these alone, since its text is part of the reply."""
        return [
            {"contentBlockIndex": index, **self._whole(index, block)} for index, block in sorted(self._blocks.items())
        ]

    @property
    def images(self) -> int:
        """How many images are among them."""
        return sum("image" in block for block in self._blocks.values())

    def begin(self, index: int, kind: str, fields: Any) -> None:
        """Take the beginning of a block."""
        self._blocks[index] = {kind: {**(as_object(fields) or {})}}

    def image(self, index: int, delta: Any) -> None:
        """Take a piece of an image; its bytes may come in several."""
        found = self._blocks.setdefault(index, {"image": {}})["image"]
        image = as_object(delta) or {}
        source = as_object(image.get("source")) or {}
        self._pieces.setdefault(index, []).append(text_of(source.get("bytes")))
        if len(source.keys() - {"bytes"}) or "source" not in found:
            found["source"] = source
        if image.get("error"):
            found["error"] = image["error"]

    def citation(self, index: int, delta: Any) -> None:
        """Take a citation of the text beside it."""
        found = self._blocks.setdefault(index, {"citationsContent": {"citations": []}})["citationsContent"]
        found["citations"].append(delta)

    def input(self, index: int, piece: str) -> None:
        """Take a piece of what a tool of the vendor's side was asked."""
        self._pieces.setdefault(index, []).append(piece)

    def result(self, index: int, delta: Any) -> None:
        """Take a piece of what a tool of the vendor's side answered."""
        found = self._blocks.setdefault(index, {"toolResult": {}})["toolResult"]
        found["content"] = [*found.get("content", []), *(as_array(delta) or [])]

    def _whole(self, index: int, block: dict[str, Any]) -> dict[str, Any]:
        pieces = [piece for piece in self._pieces.get(index, ()) if piece]
        if "image" in block and pieces:
            image = block["image"]
            return {"image": {**image, "source": {**image["source"], "bytes": join_base64(pieces)}}}
        if "toolUse" in block:
            return {"toolUse": {**block["toolUse"], "input": arguments("".join(pieces))}}
        return block
