"""An image of 20 MB costs at most three times its size, on its way to each vendor, beside the part itself."""

from __future__ import annotations

import os
import socket
import threading
import tracemalloc
from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import Capabilities, ChatRequest, ContentPart, Message, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZE = 20_000_000
PDF_HEAD = b64encode(b"%PDF-1.7 ...").decode()
HEAD = b"\x89PNG\r\n\x1a\n...."


@pytest.fixture(scope="module")
def data() -> str:
    return b64encode(HEAD + os.urandom(SIZE - len(HEAD))).decode()


@pytest.fixture
def sink() -> Iterator[Callable[[Any], tuple[str, list[int]]]]:
    """Return a maker of servers that forget what they read, and count it; they answer each request alike."""
    listening: list[socket.socket] = []

    def make(answer: Any) -> tuple[str, list[int]]:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)
        counted: list[int] = []
        threading.Thread(target=_discard, args=(server, msgspec.json.encode(answer), counted), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}", counted

    yield make
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _discard(server: socket.socket, answer: bytes, counted: list[int]) -> None:
    buffer = bytearray(1 << 18)
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # the test is over
            return
        with closing(connection):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            fields, _, rest = head.lower().partition(b"\r\n\r\n")
            length = int(fields.partition(b"content-length:")[2].split()[0])
            left = length - len(rest)
            while left:
                left -= connection.recv_into(buffer)
            counted.append(length)
            start = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            connection.sendall(f"{start}content-length: {len(answer)}\r\n\r\n".encode() + answer)


def cost(action: Callable[[], Any]) -> float:
    """Return the peak of what is allocated meanwhile, as a multiple of the image's bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / SIZE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex"])
def test_a_large_image_is_copied_twice_at_most(
    name: str, data: str, at: Callable[..., Provider], answers: dict[str, Any], sink: Callable[[Any], Any]
) -> None:
    url, counted = sink(answers[name])
    blocking = at(name, url, capabilities=Capabilities(supports_streaming=True)).blocking
    image = ContentPart.image("image/png", "data:image/png;base64," + data)
    request = ChatRequest([Message.user([image])])
    blocking.chat("warm up")
    with blocking.stream("warm up") as stream:
        list(stream)
    assert cost(lambda: blocking.chat(request)) < 3

    def streamed() -> None:
        with blocking.stream(request) as stream:
            list(stream)

    assert cost(streamed) < 3
    assert sum(size > len(data) for size in counted) == 2, "it arrived as a whole, both times"


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic", "mistral", "bedrock", "vertex"])
def test_a_large_pdf_is_copied_twice_at_most(
    name: str, data: str, at: Callable[..., Provider], answers: dict[str, Any], sink: Callable[[Any], Any]
) -> None:
    answers["responses"] = {"status": "completed", "output": []}
    url, counted = sink(answers[name])
    able = Capabilities(supports_streaming=True, supports_documents=True)
    api = {"api": "responses"} if name == "responses" else {}
    blocking = at("openai" if api else name, url, capabilities=able, **api).blocking
    file = ContentPart.file("application/pdf", PDF_HEAD + data[len(PDF_HEAD) :], "large.pdf")
    request = ChatRequest([Message.user([file, ContentPart.text("Sum it up")])])
    blocking.chat("warm up")
    assert cost(lambda: blocking.chat(request)) < 3
    assert counted[-1] > len(data)


def test_a_large_file_becomes_a_part_without_being_held_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(HEAD + bytes(SIZE - len(HEAD)))
    assert cost(lambda: ContentPart.image_file(file)) < 3
