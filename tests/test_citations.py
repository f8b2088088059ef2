"""Citations: the pages that vendors name, and the mixture of documents that Claude refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tako import Citation, ContentPart, Message, Provider, UnsupportedError, notices
from tako.parts import FilePart, ImagePart
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PDF = "JVBERi0xLjcgYSBwYWdl"
PAGES = {"type": "page_location", "cited_text": "x", "document_index": 0, "document_title": "a.pdf"}
CLAUDE = {"id": "msg_1", "model": "claude", "stop_reason": "end_turn", "usage": {}}


def claude(first: int, after: int) -> dict[str, Any]:
    """Return a reply of Anthropic's, whose last page isn't cited any more."""
    cited = {**PAGES, "start_page_number": first, "end_page_number": after}
    return {**CLAUDE, "content": [{"type": "text", "text": "So.", "citations": [cited]}]}


def converse(**location: Any) -> dict[str, Any]:
    cited = {"title": "a.pdf", "sourceContent": [{"text": "x"}], "location": {"documentPage": location}}
    block = {"citationsContent": {"content": [{"text": "So."}], "citations": [cited]}}
    return {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "end_turn"}


def gemini(**context: Any) -> dict[str, Any]:
    chunk = {"retrievedContext": {"title": "a.pdf", "text": "x", **context}}
    candidate = {"content": {"parts": [{"text": "So."}]}, "finishReason": "STOP"}
    return {"candidates": [{**candidate, "groundingMetadata": {"groundingChunks": [chunk]}}]}


@pytest.mark.parametrize(
    ("vendor", "answer", "pages"),
    [
        ("anthropic", claude(7, 8), (7, 7)),
        ("anthropic", claude(7, 9), (7, 8)),
        ("bedrock", converse(documentIndex=0, start=7, end=9), (7, None)),
        ("vertex", gemini(ragChunk={"pageSpan": {"firstPage": 7, "lastPage": 9}}), (7, 9)),
        ("gemini", gemini(pageNumber=7), (7, 7)),
        ("gemini", gemini(), (None, None)),
    ],
)
def test_a_citation_has_the_pages_that_the_vendor_names(
    vendor: str, answer: Any, pages: tuple[int | None, int | None], at: Callable[..., Provider]
) -> None:
    with serve(reply(json=answer)) as server:
        [citation] = at(vendor, server.url).blocking.chat("Where?").citations
    assert isinstance(citation, Citation)
    assert (citation.title, citation.text) == ("a.pdf", "x")
    assert (citation.page, citation.last_page) == pages


ENABLED = {"citations": {"enabled": True}}
CITED = ContentPart.file("application/pdf", PDF, "a.pdf", extra=ENABLED)
PLAIN = ContentPart.file("application/pdf", PDF, "b.pdf")
QUESTION = ContentPart.text("Where?")


def spelled(part: Any, vendor: str) -> Any:
    """Put the fields of ``extra`` where a vendor's block has them."""
    return replace(part, extra={"document": part.extra}) if vendor == "bedrock" and part.extra else part


@pytest.mark.parametrize("vendor", ["anthropic", "bedrock"])
@pytest.mark.parametrize(
    ("parts", "paths"),
    [
        ([CITED, PLAIN], ["messages[0].content[1]"]),
        ([PLAIN, CITED, CITED], ["messages[0].content[0]"]),
        ([CITED, CITED], []),
        ([PLAIN, PLAIN], []),
    ],
)
def test_documents_with_and_without_citations_have_a_notice_at_claude(
    vendor: str, parts: list[Any], paths: list[str], at: Callable[..., Provider], answers: dict[str, Any]
) -> None:
    question = [Message.user([*(spelled(part, vendor) for part in parts), QUESTION])]
    with serve(reply(json=answers[vendor])) as server:
        provider = at(vendor, server.url).blocking
        response = provider.chat(question)
        if paths:
            with pytest.raises(UnsupportedError, match="citations"):
                provider.chat(question, strict=True)
    assert [one.path for one in response.notices if one.code == notices.MIXED_CITATIONS] == paths
    assert len(server.requests) == 1


@pytest.mark.parametrize("vendor", ["anthropic", "bedrock"])
def test_documents_in_tool_results_count_too(vendor: str, at: Callable[..., Provider], answers: dict[str, Any]) -> None:
    history = [
        Message.user([spelled(CITED, vendor), QUESTION]),
        Message.assistant([ContentPart.tool_call("call_1", "read", {})]),
        Message.tool("call_1", [PLAIN]),
    ]
    with serve(reply(json=answers[vendor])) as server:
        response = at(vendor, server.url).blocking.chat(history)
    assert [one.path for one in response.notices if one.code == notices.MIXED_CITATIONS] == ["messages[2].content[0]"]


def test_a_model_of_another_family_takes_a_mixture(at: Callable[..., Provider], answers: dict[str, Any]) -> None:
    with serve(reply(json=answers["bedrock"])) as server:
        response = at("bedrock", server.url, model="amazon.nova-pro-v1:0").blocking.chat(
            [Message.user([spelled(CITED, "bedrock"), PLAIN, QUESTION])]
        )
    assert [one.code for one in response.notices if one.code == notices.MIXED_CITATIONS] == []


def test_every_constructor_of_files_takes_the_fields_of_its_part(tmp_path: Path) -> None:
    options: dict[str, Any] = {"extra": {"a": 1}, "cache": "1h"}
    file = tmp_path / "a.pdf"
    file.write_bytes(b"%PDF-1.7 a page")
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n picture")
    parts = [
        ContentPart.file("application/pdf", PDF, "b.pdf", **options),
        ContentPart.file("image/png", "iVBORw0KGgo=", **options),
        ContentPart.file_url("https://e.org/a", "application/pdf", "b.pdf", **options),
        ContentPart.file_url("https://e.org/a", "image/png", **options),
        ContentPart.file_id("file_1", "anthropic", **options),
        ContentPart.file_path(file, name="b.pdf", **options),
        ContentPart.file_path(picture, **options),
    ]
    assert [(part.extra, part.cache) for part in parts] == [({"a": 1}, "1h")] * len(parts)
    assert [part.name for part in (parts[0], parts[2], parts[5]) if not isinstance(part, ImagePart)] == ["b.pdf"] * 3
    path = ContentPart.file_path(file)
    assert isinstance(path, FilePart)
    assert path.name == "a.pdf"
