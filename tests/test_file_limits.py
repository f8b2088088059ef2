"""Files that a vendor is known to refuse for their size or their number: a notice before, and the request goes out."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tako import ChatRequest, ContentPart, Message, UnsupportedError, get_provider
from tako import notices as codes
from tako.kit.file_limits import MB
from tako.parts import FilePart
from tako.testing.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def file(megabytes: float, mime: str = "application/pdf") -> FilePart:
    start = {"application/pdf": b"%PDF-", DOCX: b"PK\x03\x04"}.get(mime, b"text ")
    return FilePart(mime, b64encode(start + b"." * int(megabytes * MB - len(start))).decode(), "a")


@pytest.fixture
def noted(at: Callable[..., Provider], answers: dict[str, Any]) -> Callable[..., list[str]]:
    """Send parts; return where files are over a limit."""

    def send(name: str, *parts: Any, **options: Any) -> list[str]:
        vendor = httpx.MockTransport(lambda _: httpx.Response(200, json=answers[name]))
        provider = at(name, "http://127.0.0.1:9", transport=vendor, **options)
        response = provider.blocking.chat([Message.user([ContentPart.text("?"), *parts])])
        return [notice.path for notice in response.notices if notice.code == codes.OVER_LIMIT]

    return send


CLAUDE_3, CLAUDE_4 = "anthropic.claude-3-5-sonnet-20240620-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HERE = "messages[0].content[1]"


@pytest.mark.parametrize(
    ("model", "mime", "over"),
    [
        (CLAUDE_3, "application/pdf", True),
        (CLAUDE_4, "application/pdf", False),
        (CLAUDE_4, DOCX, True),
        ("amazon.nova-lite-v1:0", "application/pdf", False),
        ("amazon.nova-lite-v1:0", DOCX, False),
        ("amazon.nova-lite-v1:0", "text/plain", True),
        (CLAUDE_4, "text/plain", True),
    ],
)
def test_bedrock_takes_documents_of_4_5_mb_but_for_some_models(
    model: str, mime: str, over: bool, noted: Callable[..., list[str]]
) -> None:
    assert noted("bedrock", file(4.6, mime), model=model) == ([HERE] if over else [])
    assert noted("bedrock", file(4.4, mime), model=model) == []


def test_bedrock_takes_five_documents(noted: Callable[..., list[str]]) -> None:
    small = file(0.001)
    assert noted("bedrock", *[small] * 5) == []
    assert noted("bedrock", *[small] * 6) == ["messages[0].content[6]"]


def test_anthropic_takes_so_much_in_one_request(noted: Callable[..., list[str]]) -> None:
    assert noted("anthropic", file(13), file(12)) == ["messages"]
    assert noted("anthropic", file(13), file(10)) == []


@pytest.mark.parametrize("name", ["mistral", "vertex"])
def test_others_take_documents_of_50_mb(name: str, noted: Callable[..., list[str]]) -> None:
    assert noted(name, file(51)) == [HERE]


def test_openai_has_a_limit_at_its_own_servers_alone() -> None:
    assert get_provider("openai:m", api_key="k", base_url="http://127.0.0.1:9").limits_for("m") == ()  # type: ignore[attr-defined]
    output = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    answer = httpx.Response(200, json={"status": "completed", "output": [output]})
    provider = get_provider("openai:gpt-6.2-sol", api_key="k", transport=httpx.MockTransport(lambda _: answer))
    response = provider.blocking.chat([Message.user([file(51)])])
    assert [notice.code for notice in response.notices] == [codes.OVER_LIMIT, codes.OVER_LIMIT]
    assert "51.0 MB was sent: the vendor accepts 50 MB" in response.notices[0].message


def test_a_strict_request_is_refused_before_it_goes_out(at: Callable[..., Provider]) -> None:
    request = ChatRequest([Message.user([ContentPart.text("?"), *[file(0.001)] * 6])], strict=True)
    with serve() as server, pytest.raises(UnsupportedError, match="6 files were sent: the vendor accepts 5"):
        at("bedrock", server.url).blocking.chat(request)
    assert server.connections == 0
