"""Images, in both shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako import notices
from tako.parts import ContentPart, TextPart
from tako.testing.script import Script
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.conversations import PIXEL
from tako.testing.suite.harness import Harness
from tako.types import ChatRequest, Message

if TYPE_CHECKING:
    from tako.parts import Part

URL = "https://example.com/picture.png"
PICTURES = {
    "image/jpeg": "/9j/4AAQSkZJRgABAQ==",
    "image/gif": "R0lGODlhAQABAAAAACw=",
    "image/webp": "UklGRhoAAABXRUJQVlA4",
}


class Images(Harness):
    """What a model may see."""

    @check("scripted", "images")
    async def test_inline_images(self) -> None:
        """Base64 and data URLs go out as the same image, with their type, and the text around them stays."""
        shown: list[Part] = [
            TextPart("before"),
            ContentPart.image("image/png", PIXEL),
            ContentPart.image("image/png", f"data:image/png;base64,{PIXEL}"),
            ContentPart.image_url(f"data:image/png;base64,{PIXEL}"),
            TextPart("after"),
        ]
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for way, response in (await self.responses_by_way(provider, ChatRequest([Message.user(shown)]))).items():
                expect_equal(response.notices, [], f"{way}: notices on images that every vendor takes")
            for request in server.requests:
                received = self.vendor.read(request)
                images = [image.value.rpartition(",")[2] for image in received.of("image")]
                expect_equal(images, [PIXEL] * 3, "the images on the wire")
                expect({image.mime for image in received.of("image")} <= {"image/png", ""}, "an image has another type")
                texts = "".join(seen.value for seen in received.of("text"))
                expect_equal(
                    texts, "beforeafter", "the text around images (texts of one message are joined without a separator)"
                )
            for mime, data in PICTURES.items():
                shown = [ContentPart.image(mime, data), TextPart("?")]
                responses = await self.responses_by_way(provider, ChatRequest([Message.user(shown)]))
                types = {image.mime for image in self.vendor.read(server.requests[-1]).of("image")}
                expect(types <= {mime, ""}, f"an {mime} was sent as {sorted(types)}")
                for way, response in responses.items():
                    changed = [notice for notice in response.notices if notice.code == notices.CHANGED_PART]
                    expect_equal(changed, [], f"{way}: notices on the type of an {mime}, which was right")
        self.observe("images", "inline")

    @check("scripted", "images")
    async def test_image_urls(self) -> None:
        """An image by its URL goes out as that, or is left out with a notice."""
        user_parts: list[Part] = [TextPart("What?"), ContentPart.image_url(URL)]
        seen: list[str] = []
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for way, response in (
                await self.responses_by_way(provider, ChatRequest([Message.user(user_parts)]))
            ).items():
                seen = [part.value for part in self.vendor.read(server.requests[-1]).of("image_url")]
                noted = any(notice.path.startswith("messages[0].content[1]") for notice in response.notices)
                expect(seen == [URL] or noted, f"{way}: an image by URL was lost without a notice")
                expect(not (seen and noted), f"{way}: an image by URL went out and was noted as left out")
        self.observe("image URLs", "sent" if seen else "left out with a notice")
