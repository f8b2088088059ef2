"""Files: documents, text and sound, among what the user says and in tool results."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tako.parts import ContentPart, TextPart
from tako.testing.script import Script
from tako.testing.suite.check import check, expect
from tako.testing.suite.harness import Harness
from tako.types import ChatRequest, Message, Tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.testing.server import Received
    from tako.types import ChatResponse

FILES = {
    "application/pdf": b"%PDF-1.7 a page that nobody else has: 7c1e",
    "text/plain": b"a line that nobody else has: 2f9d\n",
    "audio/wav": b"RIFF\x24\x00\x00\x00WAVEfmt a sound that nobody else has: 51ab",
}


class Files(Harness):
    """What a model may read or hear."""

    @check("scripted", "notices")
    async def test_inline_files(self) -> None:
        """A file by its bytes goes out as they are (or text as text), or is left out with a notice."""
        sent: list[str] = []
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for mime, data in FILES.items():
                message = Message.user([TextPart("Read:"), ContentPart.file(mime, b64encode(data).decode(), "page")])
                before = len(server.requests)
                responses = await self.responses_by_way(provider, ChatRequest([message]))
                if _has_arrived(mime, server.requests[before:], responses, "messages[0].content[1]"):
                    sent.append(mime)
        self.observe("files", ", ".join(sent) or "left out with a notice")

    @check("scripted", "notices", "tools")
    async def test_files_in_results(self) -> None:
        """A file in a tool result goes out, in it or after it, or is left out with a notice."""
        mime = "application/pdf"
        file = ContentPart.file(mime, b64encode(FILES[mime]).decode(), "page")
        turns = [
            Message.user("Look"),
            Message.assistant([ContentPart.tool_call("call00001", "look", {})]),
            Message.tool("call00001", [TextPart("Found:"), file]),
        ]
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            responses = await self.responses_by_way(provider, ChatRequest(turns, tools=[Tool("look")]))
            _has_arrived(mime, server.requests, responses, "messages[2].content[0].result[1]")


def _has_arrived(mime: str, requests: list[Received], responses: Mapping[str, ChatResponse], path: str) -> bool:
    """Whether a file is on the wire. Fails if it's neither there nor noted."""
    data = FILES[mime]
    forms = [b64encode(data), *([data.strip()] if mime == "text/plain" else [])]
    there = all(any(form in request.body for form in forms) for request in requests)
    for way, response in responses.items():
        noted = any(notice.path.startswith(path) for notice in response.notices)
        expect(there or noted, f"{way}: a file of type {mime} was lost without a notice")
    return there
