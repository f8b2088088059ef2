"""The notice on a file by URL, of a wire that only takes bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tako import ChatRequest, ContentPart
from tako.kit.files import Media, MediaPart, read_media
from tako.media import IMAGE_TYPES
from tako.state import Origin
from tako.translator import PartContext

if TYPE_CHECKING:
    from tako.parts import Part


def notice_on(part: MediaPart) -> tuple[str, str]:
    """Read a part for a wire that takes images, inline."""

    def is_inline_image(media: Media) -> bool:
        return not media.url and media.mime in IMAGE_TYPES

    context = PartContext(Origin("acme", "large"), ChatRequest([]))
    assert read_media(part, context, takes=is_inline_image) is None
    [notice] = context.notices
    return notice.code, notice.message


def test_an_address_is_left_out_because_it_is_one() -> None:
    assert notice_on(media_part(ContentPart.image_url("https://example.com/cat.png"))) == (
        "unsupported_url",
        "an image was left out: the vendor takes no addresses",
    )


@pytest.mark.parametrize(
    "part",
    [
        ContentPart.image("image/tiff", "SUkqAAgAAAAAAAAAbWFya2Vy"),
        ContentPart.image_url("https://example.com/cat.tiff"),
        ContentPart.file_url("https://example.com/report.pdf"),
    ],
)
def test_a_type_that_is_not_taken_either_way_is_left_out_because_of_the_type(part: Part) -> None:
    assert notice_on(media_part(part))[0] == "unsupported_media_type"


def media_part(part: Part) -> MediaPart:
    assert isinstance(part, MediaPart)
    return part
