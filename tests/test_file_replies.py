"""Images, audio and files that models make: parts, whole and streamed; saved; and back they go."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, ChatResponse, ContentPart, Message, Provider
from tako.errors import StreamTruncatedError
from tako.fold import fold
from tako.parts import FileIdPart, FilePart, FileUrlPart, ImagePart, TextPart, ToolCallPart
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Reply, reply, serve, sse
from tako.types import Delta, End

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PNG = b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
WAV = b"RIFF\x24\0\0\0WAVEfmt sound"
SPOKEN = {"id": "audio_1", "data": b64encode(WAV).decode(), "expires_at": 1, "transcript": "Hello."}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def completion(**message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **message}
    return {
        "id": "x",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def candidate(*parts: Any, finish: str | None = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}]}


def cut(data: bytes, size: int) -> list[str]:
    """Take data apart as vendors stream it: each piece is base64 with padding of its own."""
    return [b64encode(data[at : at + size]).decode() for at in range(0, len(data), size)]


@pytest.fixture
def both(at: Callable[..., Provider]) -> Callable[..., tuple[ChatResponse, list[Any]]]:
    """Ask whole and streamed, which give the same parts; return the reply, and what goes back of it both times."""

    def ask(name: str, reply: Reply, stream: Reply, **options: Any) -> tuple[ChatResponse, list[Any]]:
        responses: list[ChatResponse] = []
        with serve(reply, reply, stream, reply) as server:
            blocking = at(name, server.url, **options).blocking
            for streams in (False, True):
                response = blocking.stream("Make it").response() if streams else blocking.chat("Make it")
                blocking.chat([Message.user("Make it"), response.message, Message.user("Again")])
                responses.append(response)
        bodies = [request.json for request in server.requests[1::2]]
        sent = [(body.get("messages") or body.get("contents") or body.get("input"))[1:-1] for body in bodies]
        assert responses[0].message == responses[1].message
        assert sent[0] == sent[1]
        return responses[0], sent[0]

    return ask


def test_what_openai_says_aloud_is_a_text_and_a_file_and_goes_back_by_its_id(both: Any, tmp_path: Path) -> None:
    pieces = [
        piece(role="assistant", audio={"id": "audio_1", "transcript": "Hel"}),
        *[piece(audio={"data": data}) for data in cut(WAV, 7)],
        piece(audio={"transcript": "lo."}),
        piece(audio={"expires_at": 1}),
        piece("stop"),
    ]
    response, sent = both("openai", reply(json=completion(audio=SPOKEN)), reply(sse(*pieces)))
    assert response.text == "Hello."
    [file] = response.files
    assert isinstance(file, FilePart)
    assert (file.mime, b64decode(file.data_b64)) == ("audio/wav", WAV)
    assert sent == [{"role": "assistant", "content": "", "audio": {"id": "audio_1"}}]
    assert file.save(tmp_path / "answer.wav").read_bytes() == WAV


async def chunks(provider: Provider) -> list[Delta]:
    async with provider.stream("Hi") as stream:
        return [chunk async for chunk in stream if isinstance(chunk, Delta)]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_sound_of_openai_can_be_heard_while_it_comes(size: int, at: Callable[..., Provider]) -> None:
    pieces = [
        piece(role="assistant", content="So: "),
        piece(audio={"id": "audio_1"}),
        *[piece(audio={"data": data}) for data in cut(WAV, size)],
        piece(audio={"transcript": "Hel"}),
        piece(audio={"transcript": "lo.", "expires_at": 1}),
        piece(tool_calls=[{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f"}}]),
        piece("stop"),
    ]
    with serve(reply(sse(*pieces))) as server:
        chunks_received = asyncio.run(chunks(at("openai", server.url)))
    heard = [chunk.audio for chunk in chunks_received if chunk.audio is not None]
    assert b"".join(b64decode(one.data_b64, validate=True) for one in heard) == WAV
    assert {one.mime for one in heard} == {"audio/wav"}
    assert [chunk.text for chunk in chunks_received if chunk.text] == ["So: ", "Hel", "lo."]
    first, second, sound, call = fold([*chunks_received, End()]).message.parts
    assert [first, second] == [TextPart("So: "), TextPart("Hello.", state=second.state)]
    assert isinstance(sound, FilePart)
    assert (b64decode(sound.data_b64), type(call)) == (WAV, ToolCallPart)


def test_sound_of_gemini_can_be_heard_while_it_comes(at: Callable[..., Provider]) -> None:
    sounds = [{"inlineData": {"mimeType": "audio/L16", "data": data}} for data in ("AQID", "BAU=")]
    stream = [candidate(part, finish=None) for part in ({"text": "a"}, *sounds, {"text": "b"})]
    with serve(reply(sse(*stream, candidate()))) as server:
        chunks_received = asyncio.run(chunks(at("vertex", server.url)))
    assert [chunk.audio.data_b64 for chunk in chunks_received if chunk.audio is not None] == ["AQID", "BAU="]
    assert fold([*chunks_received, End()]).message.parts == [
        TextPart("a"),
        FilePart("audio/L16", "AQIDBAU="),
        TextPart("b"),
    ]


def test_sound_that_came_before_a_stream_broke_is_in_its_partial_reply(at: Callable[..., Provider]) -> None:
    cut_off = reply(sse(piece(audio={"id": "audio_1"}), piece(audio=SPOKEN), done=False))
    with serve(cut_off) as server, pytest.raises(StreamTruncatedError) as caught:
        at("openai", server.url, max_retries=0).blocking.stream("Hi").response()
    assert caught.value.partial is not None
    assert [file.data_b64 for file in caught.value.partial.files if isinstance(file, FilePart)] == [SPOKEN["data"]]


@pytest.mark.parametrize(
    ("requested", "mime"), [("pcm16", "audio/L16;rate=24000"), ("mp3", "audio/mpeg"), (None, "audio/L16;rate=24000")]
)
def test_sound_that_does_not_tell_its_type_has_the_one_that_was_asked_for(
    requested: str | None, mime: str, at: Callable[..., Provider]
) -> None:
    with serve(reply(json=completion(audio={**SPOKEN, "data": b64encode(b"\1\2\3\4").decode()}))) as server:
        extra = {"audio": {"format": requested, "voice": "alloy"}} if requested else {}
        response = at("openai", server.url).blocking.chat(ChatRequest([Message.user("Hi")], extra=extra))
    assert [file.mime for file in response.files] == [mime]


def test_another_vendor_gets_what_was_said_as_text(at: Callable[..., Provider], answers: dict[str, Any]) -> None:
    with serve(reply(json=completion(audio=SPOKEN))) as server:
        message = at("openai", server.url).blocking.chat("Hi").message
    with serve(reply(json=answers["anthropic"])) as server:
        response = at("anthropic", server.url).blocking.chat([Message.user("Hi"), message, Message.user("And?")])
    assert server.requests[0].json["messages"][1] == {"role": "assistant", "content": "Hello."}
    assert sorted(notice.code for notice in response.notices) == ["foreign_state", "unsupported_media_type"]


def test_images_and_sound_of_gemini(both: Any) -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "sig"}
    sound = bytes(range(90))
    mime = "audio/L16;codec=pcm;rate=24000"
    body = candidate({"text": "Look:"}, image, {"inlineData": {"mimeType": mime, "data": b64encode(sound).decode()}})
    stream = [
        candidate({"text": "Lo"}, finish=None),
        candidate({"text": "ok:"}, finish=None),
        candidate(image, finish=None),
        *[candidate({"inlineData": {"mimeType": mime, "data": data}}, finish=None) for data in cut(sound, 7)],
        candidate({"text": ""}),
    ]
    response, sent = both("vertex", reply(json=body), reply(sse(*stream)))
    assert [(type(part), part.mime) for part in (*response.images, *response.files)] == [
        (ImagePart, "image/png"),
        (FilePart, mime),
    ]
    assert sent == [{"role": "model", "parts": body["candidates"][0]["content"]["parts"]}]


def test_geminis_files_go_back_under_the_types_that_they_came_with(both: Any) -> None:
    files = [
        {"inlineData": {"mimeType": "image/png", "data": "/9j/4AAQSkZJRgABAQAAAQABAAD/"}},  # it's a JPEG
        {"inlineData": {"mimeType": "image/jpg", "data": "/9j/4AAQSkZJRgABAQAAAQABAAD/"}},
        {"inlineData": {"mimeType": "image/tiff", "data": "SUkqAAAA"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"}},  # it's a WAV
        {"inlineData": {"mimeType": "text/csv; charset=utf-8", "data": "YSxiCg=="}},
        {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "//sAAAAA"}},  # it begins as an MP3 may
    ]
    stream = [candidate(file, finish=None) for file in files]
    response, sent = both("vertex", reply(json=candidate(*files)), reply(sse(*stream, candidate())))
    assert len(response.images) == 2
    assert sent == [{"role": "model", "parts": files}]


def test_sounds_of_different_kinds_are_parts_of_their_own(at: Callable[..., Provider]) -> None:
    parts = [{"inlineData": {"mimeType": mime, "data": "AQID"}} for mime in ("audio/L16", "audio/pcm", "audio/wav")]
    stream = [candidate(part, finish=None) for part in (*parts, {"text": "Done"}, parts[0])]
    with serve(reply(sse(*stream, candidate()))) as server:
        response = at("vertex", server.url).blocking.stream("Hi").response()
    assert [file.mime for file in response.files] == ["audio/L16", "audio/pcm", "audio/wav", "audio/L16"]


def test_files_of_bedrock(at: Callable[..., Provider]) -> None:
    blocks = [
        {"text": "Here:"},
        {"audio": {"format": "mp3", "source": {"bytes": "SUQzBAAAAAAAI1RTU0U="}}},
        {"audio": {"format": "m4a", "source": {"bytes": "SUQzBAAAAAAAI1RTU0U="}}},
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket-1/film.mp4"}}}},
    ]
    answer = {"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": "end_turn"}
    with serve(reply(json=answer)) as server:
        provider = at("bedrock", server.url)
        response = provider.blocking.chat("Hi")
        provider.blocking.chat([Message.user("Hi"), response.message, Message.user("Again")])
    assert [(type(file), file.mime) for file in response.files] == [
        (FilePart, "audio/mpeg"),
        (FilePart, "audio/mp4"),
        (FileUrlPart, "video/mp4"),
    ]
    assert server.requests[1].json["messages"][1]["content"] == blocks


def test_an_image_of_bedrocks_stream_is_one_part(at: Callable[..., Provider]) -> None:
    picture = b64decode(PNG)
    frames = [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
        *[
            event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": data}}}})
            for data in cut(picture, 6)
        ],
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1}}),
    ]
    with serve(reply(frames, headers={"content-type": CONTENT_TYPE})) as server:
        response = at("bedrock", server.url).blocking.stream("Hi").response()
    assert response.images == [ImagePart("image/png", PNG)]


def test_files_of_mistral_go_back_as_they_came(both: Any) -> None:
    chunks = [
        {"type": "text", "text": "See"},
        {"type": "document_url", "document_url": "https://files.example/a.pdf", "document_name": "a.pdf"},
        {"type": "file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": SPOKEN["data"]},
    ]
    stream = [piece(content=[chunk]) for chunk in chunks]
    response, sent = both("mistral", reply(json=completion(content=chunks)), reply(sse(*stream, piece("stop"))))
    assert [type(file) for file in response.files] == [FileUrlPart, FileIdPart, FilePart]
    assert sent == [{"role": "assistant", "content": chunks}]


def test_an_image_of_the_responses_api_goes_back_to_it(both: Any) -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG}
    reply_of = {"id": "resp_1", "status": "completed", "output": [item], "model": "m"}
    events = [
        {"type": "response.created", "response": {**reply_of, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "result": None}},
        {"type": "response.image_generation_call.partial_image", "output_index": 0, "partial_image_b64": PNG},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": reply_of},
    ]
    response, sent = both("openai", reply(json=reply_of), reply(sse(*events)), api="responses")
    assert [(image.mime, image.data_b64) for image in response.images if isinstance(image, ImagePart)] == [
        ("image/png", PNG)
    ]
    assert sent == [item]


def test_what_was_typed_with_spaces_or_as_a_data_url_is_saved_too(tmp_path: Path) -> None:
    data = b"%PDF-1.7 and more"
    text = b64encode(data).decode()
    for text_or_url in (text, f"data:application/pdf;base64,{text}", f" {text[:8]}\n{text[8:]} "):
        assert FilePart("application/pdf", text_or_url).save(tmp_path / "a.pdf").read_bytes() == data


@pytest.mark.parametrize("broken", ["?", f"{'A' * 1_000_000}?", "data:image/png;base64"])
def test_what_is_not_base64_is_not_saved_over_a_file_that_is_there(broken: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"before")
    with pytest.raises(ValueError, match=r"a\.png: not written, since the data isn't base64"):
        ImagePart("image/png", broken).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"before"


def test_a_reply_of_text_has_neither() -> None:
    response = ChatResponse(Message.assistant([TextPart("Hi"), ContentPart.tool_call("1", "f", {})]))
    assert (response.images, response.files) == ([], [])
