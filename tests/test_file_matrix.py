"""Every vendor, every kind of file, every way of giving it: the exact block on the wire, or the notice in its place."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatRequest, ContentPart, Message, Provider, Role, Tool, UnsupportedError, UrlPrefetch
from tako import notices as codes
from tako.parts import FileIdPart, FilePart, FileUrlPart, Part, ToolResultPart
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., tuple[Any, list[tuple[str, str]]]]

ABLE = Capabilities(
    supports_streaming=True,
    supports_tools=True,
    supports_vision=True,
    supports_documents=True,
    supports_audio=True,
    supports_video=True,
)
VENDORS = ("openai", "responses", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex")
COMPLETIONS = ("openai", "azure-openai")
PATH = "messages[0].content[0]"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


FILES = {
    "pdf": ("application/pdf", b"%PDF-1.7 report"),
    "text": ("text/plain", b"Line one.\n"),
    "csv": ("text/csv", b"a,b\n1,2\n"),
    "word": (DOCX, b"PK\x03\x04 word"),
    "wav": ("audio/wav", b"RIFF\0\0\0\0WAVEfmt "),
    "mp3": ("audio/mpeg", b"ID3\x04 sound"),
    "ogg": ("audio/ogg", b"OggS\0 sound"),
    "mp4": ("video/mp4", b"\0\0\0\x18ftypmp42"),
    "webm": ("video/webm", b"\x1aE\xdf\xa3 film"),
    "zip": ("application/zip", b"PK\x03\x04 files"),
}
ENDS = {"word": "docx", "text": "txt"}
TEXTS = ("text", "csv")
SOUNDS = {"wav": "wav", "mp3": "mp3"}
FORMATS = {"pdf": "pdf", "text": "txt", "csv": "csv", "word": "docx"}


def name_of(kind: str) -> str:
    return f"my report.{ENDS.get(kind, kind)}"


def part(kind: str) -> Part:
    mime, data = FILES[kind]
    return ContentPart.file(mime, b64(data), name_of(kind))


def inline(vendor: str, kind: str) -> dict[str, Any] | str:  # noqa: C901, PLR0911, PLR0912 - it's a table
    """Return the block of an inline file, or the code of the notice that stands in its place."""
    mime, raw = FILES[kind]
    data, name = b64(raw), name_of(kind)
    refused = codes.UNSUPPORTED_MEDIA_TYPE
    match vendor:
        case "openai" | "azure-openai" if kind == "pdf":
            return {"type": "file", "file": {"filename": name, "file_data": f"data:{mime};base64,{data}"}}
        case "openai" | "azure-openai" if kind in SOUNDS:
            return {"type": "input_audio", "input_audio": {"data": data, "format": SOUNDS[kind]}}
        case "openai" | "azure-openai" | "mistral" if kind in TEXTS:
            return {"type": "text", "text": f"{name}:\n{raw.decode()}"}
        case "responses" if kind in FORMATS or kind == "zip":
            return {"type": "input_file", "filename": name, "file_data": f"data:{mime};base64,{data}"}
        case "anthropic" if kind == "pdf":
            source = {"type": "base64", "media_type": mime, "data": data}
            return {"type": "document", "source": source, "title": name}
        case "anthropic" if kind in TEXTS:
            source = {"type": "text", "media_type": "text/plain", "data": raw.decode()}
            return {"type": "document", "source": source, "title": name}
        case "mistral" if kind in ("pdf", "word"):
            return {"type": "document_url", "document_url": f"data:{mime};base64,{data}", "document_name": name}
        case "mistral" if mime.startswith("audio/"):
            return {"type": "input_audio", "input_audio": data}
        case "ollama" if kind in TEXTS:
            return {"content": f"{name}:\n{raw.decode()}"}
        case "bedrock" if kind in FORMATS:
            return {"document": {"format": FORMATS[kind], "name": "my report", "source": {"bytes": data}}}
        case "bedrock" if kind != "zip":
            return {mime.partition("/")[0]: {"format": kind, "source": {"bytes": data}}}
        case "vertex":
            return {"inlineData": {"mimeType": mime, "data": data}}
        case _:
            return refused


def noted(vendor: str, kind: str) -> list[tuple[str, str]]:
    """Return what is noted of an inline file that goes out."""
    if kind in TEXTS and vendor in (*COMPLETIONS, "mistral", "ollama"):
        return [(codes.CHANGED_PART, PATH)]
    return [(codes.ADDED_TEXT, PATH)] if vendor == "bedrock" and kind in FORMATS else []


@pytest.fixture
def send_request(at: Callable[..., Provider], answers: dict[str, Any]) -> Ask:
    """Send a request; return the body on the wire, and the notices' codes and paths."""
    output = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    answers["responses"] = {"status": "completed", "output": [output]}

    def send(vendor: str, request: ChatRequest, **options: Any) -> tuple[Any, list[tuple[str, str]]]:
        name, api = ("openai", {"api": "responses"}) if vendor == "responses" else (vendor, {})
        with serve(reply(json=answers[vendor])) as server:
            provider = at(name, server.url, **{"capabilities": ABLE, **api, **options})
            response = provider.blocking.chat(request)
        return server.requests[0].json, [(notice.code, notice.path) for notice in response.notices]

    return send


@pytest.fixture
def ask(send_request: Ask) -> Ask:
    """Send parts as the user's; return the blocks on the wire, and the notices' codes and paths."""

    def send_parts(vendor: str, *parts: Part, **options: Any) -> tuple[Any, list[tuple[str, str]]]:
        body, response_notices = send_request(vendor, ChatRequest([Message.user(list(parts))]), **options)
        if vendor == "vertex":
            return body["contents"][0]["parts"], response_notices
        content = body["input"][0]["content"] if vendor == "responses" else body["messages"][0]["content"]
        return [text_block(vendor, content)] if isinstance(content, str) else content, response_notices

    return send_parts


def text_block(vendor: str, value: str) -> dict[str, Any]:
    """Return the block of a text."""
    match vendor:
        case "bedrock" | "vertex":
            return {"text": value}
        case "ollama":
            return {"content": value}
        case "responses":
            return {"type": "input_text", "text": value}
        case _:
            return {"type": "text", "text": value}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", FILES)
def test_an_inline_file_is_the_vendors_block_or_a_notice(vendor: str, kind: str, ask: Ask) -> None:
    expected = inline(vendor, kind)
    if isinstance(expected, str):
        sent, notices = ask(vendor, part(kind), ContentPart.text("Sum it up"))
        assert (notices, len(sent)) == ([(expected, PATH)], 1)
        return
    blocks, notices = ask(vendor, part(kind))
    beside = [text_block(vendor, "See the document.")] if vendor == "bedrock" and kind in FORMATS else []
    assert (blocks, notices) == ([expected, *beside], noted(vendor, kind))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", ["pdf", "text", "wav", "mp4"])
def test_a_data_url_is_taken_apart(vendor: str, kind: str, ask: Ask) -> None:
    mime, data = FILES[kind]
    url = f"data:{mime};base64,{b64(data)}"
    look = ContentPart.text("Look:")
    plain = ask(vendor, look, part(kind))
    assert ask(vendor, look, ContentPart.file_url(url, name=name_of(kind))) == plain
    assert ask(vendor, look, ContentPart.file("", url, name_of(kind))) == plain


def remote(vendor: str, kind: str, url: str) -> dict[str, Any] | None:
    """Return the block of a file by its address, or None where the vendor doesn't fetch it."""
    mime = FILES[kind][0]
    match vendor:
        case "responses" if kind in FORMATS:
            return {"type": "input_file", "file_url": url}
        case "anthropic" if kind == "pdf":
            return {"type": "document", "source": {"type": "url", "url": url}}
        case "mistral" if kind in ("pdf", "word"):
            return {"type": "document_url", "document_url": url}
        case "mistral" if mime.startswith("audio/"):
            return {"type": "input_audio", "input_audio": url}
        case "vertex":
            return {"fileData": {"mimeType": mime, "fileUri": url}}
        case _:
            return None


REFUSED_BY_ADDRESS = (codes.UNSUPPORTED_URL, codes.UNSUPPORTED_MEDIA_TYPE)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", ["pdf", "text", "csv", "word", "wav", "mp3", "mp4"])
def test_an_address_goes_to_vendors_that_fetch_it(vendor: str, kind: str, ask: Ask) -> None:
    url = f"https://files.test/a/report.{ENDS.get(kind, kind)}?download=1"
    expected = remote(vendor, kind, url)
    sent, notices = ask(vendor, ContentPart.file_url(url), ContentPart.text("Sum it up"))
    if expected is not None:
        assert (sent, notices) == ([expected, text_block(vendor, "Sum it up")], [])
    else:
        assert [path for _, path in notices] == [PATH]
        assert notices[0][0] in REFUSED_BY_ADDRESS
        assert sent == [text_block(vendor, "Sum it up")]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", ["pdf", "text", "csv", "wav", "mp4"])
def test_with_the_prefetch_an_address_that_the_vendor_does_not_fetch_goes_out_inline(
    vendor: str, kind: str, ask: Ask
) -> None:
    mime, data = FILES[kind]
    policy = UrlPrefetch(allow_http=True, allow_cidrs=("127.0.0.0/8",))
    with serve(reply(data, headers={"content-type": mime})) as files:
        url = f"{files.url}/report.{ENDS.get(kind, kind)}"
        if remote(vendor, kind, url) is not None and vendor != "vertex":
            return
        look = ContentPart.text("Look:")
        sent = ask(vendor, look, ContentPart.file_url(url, name=name_of(kind)), url_prefetch=policy)
        expected = inline(vendor, kind)
        assert sent == ask(vendor, look, part(kind))
        assert len(files.requests) == (not isinstance(expected, str))


@pytest.mark.parametrize("vendor", VENDORS)
def test_nothing_is_fetched_for_a_strict_request_that_loses_something(vendor: str, at: Callable[..., Provider]) -> None:
    policy = UrlPrefetch(allow_http=True, allow_cidrs=("127.0.0.0/8",))
    lost = ContentPart.image("image/bmp", b64(b"BM"))
    name, api = ("openai", {"api": "responses"}) if vendor == "responses" else (vendor, {})
    with serve() as server:
        message = Message.user([ContentPart.file_url(f"{server.url}/a.txt"), lost])
        provider = at(name, server.url, url_prefetch=policy, capabilities=ABLE, **api)
        with pytest.raises(UnsupportedError, match="image/bmp"):
            provider.blocking.chat(ChatRequest([message], strict=True))
    assert server.connections == 0


IDS = {
    "openai": {"type": "file", "file": {"file_id": "file-1"}},
    "azure-openai": {"type": "file", "file": {"file_id": "file-1"}},
    "responses": {"type": "input_file", "file_id": "file-1"},
    "anthropic": {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
    "mistral": {"type": "file", "file_id": "file-1"},
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("mime", [None, "application/pdf"])
def test_an_uploaded_file_goes_to_its_vendor_by_its_id(vendor: str, mime: str | None, ask: Ask) -> None:
    name = "openai" if vendor == "responses" else vendor
    sent, notices = ask(vendor, ContentPart.file_id("file-1", name, mime), ContentPart.text("Sum it up"))
    if vendor in IDS:
        assert (sent, notices) == ([IDS[vendor], text_block(vendor, "Sum it up")], [])
    else:
        assert sent == [text_block(vendor, "Sum it up")]
        assert notices[0][0] in (codes.UNSUPPORTED_PART, codes.UNSUPPORTED_MEDIA_TYPE)


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_uploaded_file_goes_to_no_other_vendor(vendor: str, ask: Ask) -> None:
    sent, notices = ask(vendor, FileIdPart("file-1", "elsewhere"), ContentPart.text("Sum it up"))
    assert (sent, notices) == ([text_block(vendor, "Sum it up")], [(codes.FOREIGN_STATE, PATH)])


def test_an_uploaded_image_is_an_image(ask: Ask) -> None:
    assert ask("anthropic", FileIdPart("f", "anthropic", "image/png"))[0] == [
        {"type": "image", "source": {"type": "file", "file_id": "f"}}
    ]
    assert ask("responses", FileIdPart("f", "openai", "image/png"))[0] == [
        {"type": "input_image", "file_id": "f", "detail": "auto"}
    ]


@pytest.mark.parametrize("kind", ["pdf", "mp3", "mp4"])
def test_bedrock_reads_from_s3(kind: str, ask: Ask) -> None:
    sent, notices = ask("bedrock", ContentPart.text("?"), ContentPart.file_url(f"s3://bucket-1/a.{kind}"))
    block = next(iter(sent[1].values()))
    assert (block["format"], block["source"]) == (kind, {"s3Location": {"uri": f"s3://bucket-1/a.{kind}"}})
    assert notices == []


def test_gemini_reads_from_cloud_storage(ask: Ask) -> None:
    sent, notices = ask("vertex", ContentPart.file_url("gs://bucket/a.pdf"))
    assert (sent, notices) == ([{"fileData": {"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf"}}], [])


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_first_bytes_decide_what_a_file_is(vendor: str, ask: Ask) -> None:
    mislabelled = FilePart("text/plain", b64(FILES["pdf"][1]), name_of("pdf"))
    right, before = ask(vendor, ContentPart.text("?"), part("pdf"))
    sent, notices = ask(vendor, ContentPart.text("?"), mislabelled)
    assert sent == right
    assert notices == [(codes.CHANGED_PART, "messages[0].content[1]"), *before]


@pytest.mark.parametrize("vendor", VENDORS)
def test_text_that_is_called_a_pdf_is_text(vendor: str, ask: Ask) -> None:
    mime, data = FILES["text"]
    right, before = ask(vendor, ContentPart.text("?"), part("text"))
    sent, notices = ask(vendor, ContentPart.text("?"), FilePart("application/pdf", b64(data), name_of("text")))
    assert (mime, sent) == ("text/plain", right)
    assert notices[0] == (codes.CHANGED_PART, "messages[0].content[1]")
    assert len(notices) == len(before) + 1


@pytest.mark.parametrize("vendor", VENDORS)
def test_broken_base64_and_unknown_types_are_left_out(vendor: str, ask: Ask) -> None:
    parts = [FilePart("application/pdf", "JVBERi0*"), FilePart("", b64(b"???")), FileUrlPart("file:///etc/passwd")]
    sent, notices = ask(vendor, *parts, ContentPart.text("Sum it up"))
    assert sent == [text_block(vendor, "Sum it up")]
    assert [code for code, _ in notices] == [codes.INVALID_IMAGE, codes.UNSUPPORTED_MEDIA_TYPE, codes.UNSUPPORTED_URL]


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "anthropic": ({"citations": {"enabled": True}, "context": "2026"}, {"citations": {"enabled": True}}),
    "bedrock": ({"document": {"citations": {"enabled": True}}}, {}),
    "responses": ({"detail": "low"}, {"detail": "low"}),
    "vertex": ({"mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}, {}),
}


@pytest.mark.parametrize("vendor", OPTIONS)
def test_a_vendors_own_options_go_along_by_extra(vendor: str, ask: Ask) -> None:
    extra, _ = OPTIONS[vendor]
    mime, data = FILES["pdf"]
    sent, _ = ask(vendor, ContentPart.text("?"), FilePart(mime, b64(data), extra=extra))
    block = sent[1]
    if vendor == "bedrock":
        assert block["document"]["citations"] == {"enabled": True}
        assert block["document"]["source"] == {"bytes": b64(data)}
    else:
        assert extra.items() <= block.items()


def looked(*result: Part) -> ChatRequest:
    """A conversation whose tool answers with parts."""
    return ChatRequest(
        [
            Message.user("Look around."),
            Message.assistant([ContentPart.tool_call("call00001", "look", {})]),
            Message(Role.TOOL, [ToolResultPart("call00001", list(result))]),
        ],
        tools=[Tool("look")],
    )


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_document_in_a_tool_result_goes_out_in_it_or_right_after_it(vendor: str, send_request: Ask) -> None:
    body, notices = send_request(vendor, looked(ContentPart.text("Found:"), part("pdf")))
    place = "messages[2].content[0].result[1]"
    block = inline(vendor, "pdf")
    match vendor:
        case "anthropic":
            assert body["messages"][-1]["content"][0]["content"][1] == block
        case "bedrock":
            assert body["messages"][-1]["content"][0]["toolResult"]["content"][1] == block
        case "vertex":
            assert body["contents"][-1]["parts"][1] == block
        case "responses":
            assert body["input"][-1]["output"][1] == block
        case "ollama":
            assert notices == [(codes.UNSUPPORTED_MEDIA_TYPE, place)]
            return
        case _:
            assert body["messages"][-1] == {"role": "user", "content": [block]}
            assert (codes.CHANGED_PART, place) in notices
            return
    assert notices == []


def test_a_result_that_is_one_file_and_nothing_else_has_a_text(send_request: Ask) -> None:
    body, _ = send_request("openai", looked(part("pdf")))
    assert body["messages"][-2]["content"] == "The result is in the user's next message."
    single = ChatRequest([*looked().messages[:2], Message.tool("call00001", part("pdf"))], tools=[Tool("look")])
    assert send_request("openai", single)[0] == body


def test_a_sound_in_a_result_follows_it_on_bedrock(send_request: Ask) -> None:
    body, notices = send_request("bedrock", looked(ContentPart.text("Heard:"), part("mp3")))
    result, sound = body["messages"][-1]["content"]
    assert result["toolResult"]["content"] == [{"text": "Heard:"}]
    assert sound == inline("bedrock", "mp3")
    assert notices == [(codes.CHANGED_PART, "messages[2].content[0].result[1]")]


def test_bedrock_gets_names_that_it_takes_each_once_and_the_same_in_the_next_request(send_request: Ask) -> None:
    names = ["report.pdf", "report.pdf", "Jahres/Bericht: 2026.pdf", None, "*.pdf"]
    parts = [FilePart("application/pdf", b64(FILES["pdf"][1]), name) for name in names]
    first = [Message.user([ContentPart.text("Compare"), *parts])]
    body, notices = send_request("bedrock", ChatRequest(first))
    file_names = [block["document"]["name"] for block in body["messages"][0]["content"][1:]]
    assert file_names == ["report", "report 2", "Jahres Bericht 2026", "document", "document 2"]
    assert notices == []
    later = [*first, Message.assistant("Done"), Message.user([ContentPart.text("And"), parts[0]])]
    body, _ = send_request("bedrock", ChatRequest(later))
    assert [block["document"]["name"] for block in body["messages"][0]["content"][1:]] == file_names
    assert body["messages"][2]["content"][1]["document"]["name"] == "report 3"


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_a_model_is_known_not_to_read_is_noted(vendor: str, send_request: Ask) -> None:
    nothing = Capabilities(supports_streaming=True, supports_vision=True)
    for kind, code in (
        ("pdf", codes.MODEL_LACKS_DOCUMENTS),
        ("mp3", codes.MODEL_LACKS_AUDIO),
        ("mp4", codes.MODEL_LACKS_VIDEO),
    ):
        request = ChatRequest([Message.user([ContentPart.text("?"), part(kind)])])
        _, notices = send_request(vendor, request, capabilities=nothing)
        assert [path for _, path in notices] == ["messages[0].content[1]"]
        assert notices[0][0] in (code, codes.UNSUPPORTED_MEDIA_TYPE)
    assert send_request(vendor, ChatRequest([Message.user([part("text")])]), capabilities=nothing)[1] == noted(
        vendor, "text"
    )


def test_an_empty_file_is_called_empty(at: Callable[..., Provider], answers: dict[str, Any]) -> None:
    with serve(reply(json=answers["anthropic"])) as server:
        empty = [ContentPart.file("text/plain", ""), ContentPart.file_url("data:application/pdf;base64,")]
        request = ChatRequest([Message.user([*empty, ContentPart.text("Hi")])])
        notices = at("anthropic", server.url).blocking.chat(request).notices
    assert [notice.message for notice in notices] == ["a file was left out: it is empty"] * 2
