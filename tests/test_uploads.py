"""Files that vendors keep: given to them as they're read from disk, used by their ids, and deleted."""

from __future__ import annotations

import asyncio
import email
import socket
import threading
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tako import ConfigurationError, Message, UnsupportedError, get_provider
from tako.errors import NotFoundError, ResponseError, ServerError
from tako.parts import FileIdPart
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tako import Provider

PDF = b"%PDF-1.7 " + bytes(range(256)) * 700
"""Longer than one piece on its way."""
KEEPING = {
    "openai": ("/v1/files", {"id": "file-1"}, {"purpose": "user_data"}),
    "anthropic": ("/v1/files", {"id": "file-1", "type": "file"}, {}),
    "mistral": ("/v1/files", {"id": "file-1"}, {"purpose": "ocr"}),
    "azure-openai": ("/openai/v1/files", {"id": "file-1"}, {"purpose": "assistants"}),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my report.pdf"
    path.write_bytes(PDF)
    return path


@pytest.fixture
def keeper(at: Callable[..., Provider]) -> Callable[..., Provider]:
    """Return a maker of providers, of Gemini's Developer API too."""

    def make(name: str, url: str, **options: Any) -> Provider:
        if name == "gemini":
            return get_provider("gemini:gemini-2.5-flash", api_key="key", base_url=url, **options)
        return at(name, url, **options)

    return make


def form(request: Received) -> dict[str, tuple[Any, str | None, str]]:
    """Read a form: by name, each part's content, its file's name, and its type."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: Any = email.message_from_bytes(head + request.body).get_payload()
    return {
        part.get_param("name", header="content-disposition"): (
            part.get_payload(decode=True),
            part.get_filename(),
            part.get_content_type(),
        )
        for part in parts
    }


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("blocking", [False, True])
def test_a_file_goes_up_as_it_is_and_comes_back_as_a_part(
    name: str, blocking: bool, keeper: Callable[..., Provider], file: Path
) -> None:
    path, answer, fields = KEEPING[name]
    with serve(reply(json=answer), reply(json={"id": "file-1", "deleted": True})) as server:
        provider = keeper(name, server.url)
        if blocking:
            part = provider.blocking.upload(file)
            provider.blocking.delete(part)
        else:

            async def main() -> FileIdPart:
                async with provider:
                    part = await provider.upload(file)
                    await provider.delete(part)
                    return part

            part = asyncio.run(main())
    assert part == FileIdPart("file-1", name, "application/pdf")
    up, down = server.requests
    assert (up.method, up.path, down.method, down.path) == ("POST", path, "DELETE", f"{path}/file-1")
    sent = form(up)
    assert sent.pop("file") == (PDF, "my report.pdf", "application/pdf")
    assert {field: content.decode() for field, (content, _, _) in sent.items()} == fields
    assert up.headers["content-length"] == str(len(up.body))


def test_gemini_keeps_files_by_its_own_protocol(keeper: Callable[..., Provider], file: Path) -> None:
    file_fields = {"name": "files/abc", "uri": "https://g/files/abc", "mimeType": "application/pdf"}

    def start(request: Received) -> Reply:
        return reply(json={}, headers={"x-goog-upload-url": f"http://{request.headers['host']}/upload/place?id=1"})

    body = {"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}
    ready = reply(json={**file_fields, "state": "ACTIVE"})
    uploaded = reply(json={"file": {**file_fields, "state": "PROCESSING"}})
    with serve(start, uploaded, ready, reply(json=body), reply(json={})) as server:
        provider = keeper("gemini", server.url).blocking
        part = provider.upload(file)
        provider.chat([Message.user([part])])
        provider.delete(part)
    assert part == FileIdPart("files/abc", "gemini", "application/pdf")
    begun, sent, polled, chat, deleted = server.requests
    assert begun.headers["x-goog-upload-header-content-length"] == str(len(PDF))
    assert begun.json == {"file": {"display_name": "my report.pdf"}}
    assert (sent.path, sent.body, sent.headers["x-goog-upload-command"]) == ("/upload/place", PDF, "upload, finalize")
    assert (polled.method, polled.path) == ("GET", "/v1beta/files/abc")
    assert chat.json["contents"][0]["parts"] == [
        {"fileData": {"mimeType": "application/pdf", "fileUri": f"{server.url}/v1beta/files/abc"}}
    ]
    assert (deleted.method, deleted.path) == ("DELETE", "/v1beta/files/abc")


def test_a_dated_version_of_azures_keeps_files_too(keeper: Callable[..., Provider], file: Path) -> None:
    with serve(reply(json={"id": "file-1"}), reply(json={})) as server:
        provider = keeper("azure-openai", server.url, api_version="2025-04-01-preview").blocking
        provider.delete(provider.upload(file))
    assert [(one.path, one.query) for one in server.requests] == [
        ("/openai/files", {"api-version": "2025-04-01-preview"}),
        ("/openai/files/file-1", {"api-version": "2025-04-01-preview"}),
    ]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("name", [*KEEPING, "gemini"])
def test_a_file_that_was_refused_for_load_goes_up_again(
    name: str, status: int, keeper: Callable[..., Provider], file: Path
) -> None:
    def start(request: Received) -> Reply:
        return reply(json={}, headers={"x-goog-upload-url": f"http://{request.headers['host']}/place"})

    busy = reply(json={"error": {"message": "busy"}}, status=status, headers={"retry-after": "0"})
    kept = {"id": "file-1", "file": {"name": "file-1", "state": "ACTIVE"}}
    with serve(busy, *([start, busy] if name == "gemini" else []), reply(json=kept)) as server:
        part = keeper(name, server.url).blocking.upload(file)
    assert part.id == "file-1"
    sent = [PDF in request.body for request in server.requests]
    assert sent == ([False, False, True, True] if name == "gemini" else [True, True])


@pytest.mark.parametrize("name", KEEPING)
def test_a_file_that_may_have_been_kept_goes_up_once(name: str, keeper: Callable[..., Provider], file: Path) -> None:
    with serve(reply(json={"error": {"message": "sorry"}}, status=500)) as server, pytest.raises(ServerError):
        keeper(name, server.url).blocking.upload(file)
    assert len(server.requests) == 1


@pytest.mark.parametrize("place", ["", "https://elsewhere.example/upload"])
def test_gemini_sends_a_file_and_the_key_to_no_other_server(
    place: str, keeper: Callable[..., Provider], file: Path
) -> None:
    answer, message = reply(json={}, headers={"x-goog-upload-url": place}), "no URL of the same server"
    with serve(answer) as server, pytest.raises(ResponseError, match=message):
        keeper("gemini", server.url).blocking.upload(file)
    assert len(server.requests) == 1


def test_gemini_says_that_a_file_was_not_taken(keeper: Callable[..., Provider], file: Path) -> None:
    def start(request: Received) -> Reply:
        return reply(json={}, headers={"x-goog-upload-url": f"http://{request.headers['host']}/place"})

    failed = reply(json={"file": {"name": "files/a", "state": "FAILED", "error": {"message": "no pages"}}})
    with serve(start, failed) as server, pytest.raises(ResponseError, match=r"wasn't accepted.*no pages"):
        keeper("gemini", server.url).blocking.upload(file)


@pytest.mark.parametrize("name", ["ollama", "bedrock", "vertex"])
def test_a_vendor_that_keeps_no_files_says_so(name: str, keeper: Callable[..., Provider], file: Path) -> None:
    with serve() as server:
        provider = keeper(name, server.url).blocking
        for call in (lambda: provider.upload(file), lambda: provider.delete(FileIdPart("a", name))):
            with pytest.raises(UnsupportedError, match=f"{name}:.*keeps no files"):
                call()
    assert server.connections == 0


def test_a_file_is_named_and_typed_as_you_say(keeper: Callable[..., Provider], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a,b\n")
    names = ['sales "2026"\r\n.csv', "sales.csv", None]
    with serve(reply(json={"id": "file-1"})) as server:
        provider = keeper("openai", server.url).blocking
        parts = [provider.upload(path, mime="text/csv", name=name) for name in names[:2]]
        untold = provider.upload(path)
    assert [part.mime for part in (*parts, untold)] == ["text/csv", "text/csv", "application/octet-stream"]
    assert [form(request)["file"][1] for request in server.requests] == ["sales %222026%22%0D%0A.csv", "sales.csv", "x"]


def test_what_cannot_be_read_or_is_anothers_is_refused_before_the_network(
    keeper: Callable[..., Provider], tmp_path: Path
) -> None:
    with serve() as server:
        provider = keeper("openai", server.url).blocking
        with pytest.raises(FileNotFoundError):
            provider.upload(tmp_path / "none.pdf")
        with pytest.raises(ConfigurationError, match="uploaded to anthropic"):
            provider.delete(FileIdPart("file-1", "anthropic"))
        with pytest.raises(ConfigurationError, match="the file="):
            provider.delete(FileIdPart("../models", "openai"))
    assert server.connections == 0


def test_a_refusal_is_the_usual_error(keeper: Callable[..., Provider], file: Path) -> None:
    with serve(reply(json={"error": {"message": "no such file"}}, status=404)) as server:
        provider = keeper("openai", server.url).blocking
        with pytest.raises(NotFoundError, match="no such file"):
            provider.delete(FileIdPart("file-1", "openai"))
        with pytest.raises(NotFoundError):
            provider.upload(file)
    with serve(reply(json={"object": "file"})) as server, pytest.raises(ResponseError, match="no id"):
        keeper("openai", server.url).blocking.upload(file)


def test_an_earlier_version_of_anthropics_api_hears_of_the_beta(keeper: Callable[..., Provider], file: Path) -> None:
    with serve(reply(json={"id": "file-1"})) as server:
        keeper("anthropic", server.url, version="2023-06-01", beta=["other"]).blocking.upload(file)
        keeper("anthropic", server.url, version="2026-10-21").blocking.upload(file)
    assert [request.headers.get("anthropic-beta") for request in server.requests] == [
        "other,files-api-2025-04-14",
        None,
    ]
    with serve(reply(json={"content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"})) as server:
        provider = keeper("anthropic", server.url, version="2023-06-01").blocking
        provider.chat([Message.user([FileIdPart("file-1", "anthropic")])])
        provider.chat("Hi")
    assert [request.headers.get("anthropic-beta") for request in server.requests] == ["files-api-2025-04-14", None]


def test_a_transport_of_httpx_sends_it_too(keeper: Callable[..., Provider], file: Path) -> None:
    async def main(url: str) -> None:
        async with httpx.AsyncHTTPTransport() as transport:
            await keeper("openai", url, transport=transport).upload(file)

    with serve(reply(json={"id": "file-1"})) as server:
        asyncio.run(main(server.url))
    [request] = server.requests
    assert form(request)["file"][0] == PDF
    assert "transfer-encoding" not in request.headers


SIZE = 40_000_000


def test_a_large_file_is_never_in_memory(keeper: Callable[..., Provider], tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    with path.open("wb") as large:
        large.write(b"%PDF-1.7")
        large.truncate(SIZE)
    counted: list[int] = []

    def discard(server: socket.socket) -> None:
        connection, _ = server.accept()
        buffer = bytearray(1 << 18)
        with closing(connection):
            head = connection.recv(65536)
            fields, _, rest = head.lower().partition(b"\r\n\r\n")
            left = int(fields.partition(b"content-length:")[2].split()[0]) - len(rest)
            while left:
                counted.append(connection.recv_into(buffer))
                left -= counted[-1]
            answer = b'{"id": "file-1"}'
            start = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            connection.sendall(f"{start}content-length: {len(answer)}\r\n\r\n".encode() + answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=discard, args=(server,), daemon=True).start()
        provider = keeper("openai", f"http://127.0.0.1:{server.getsockname()[1]}").blocking
        tracemalloc.start()
        try:
            part = provider.upload(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert part.id == "file-1"
    assert sum(counted) > SIZE - 100_000
    assert peak < SIZE / 4
