"""Files that the Gemini Developer API keeps, for two days (https://ai.google.dev/api/files)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from tako.builtin.retries import repeat
from tako.errors import ProviderError, ProviderTimeoutError, ResponseError
from tako.json_values import as_object, text_of
from tako.kit.addresses import server_of
from tako.kit.body import decode_json, excerpt
from tako.kit.encoding import encode
from tako.kit.uploads import send_file
from tako.kit.wire import FileBody
from tako.parts import FileIdPart

if TYPE_CHECKING:
    from tako.files import LocalFile
    from tako.kit.http import HttpProvider
    from tako.kit.wire import HttpReply

OBJECT = msgspec.json.Decoder(dict[str, Any])
PAUSE = 1.0
"""Seconds between two questions whether a file is ready; videos are taken apart first."""


async def upload(provider: HttpProvider, server: str, version: str, file: LocalFile) -> FileIdPart:
    """Upload a file by the resumable protocol, in one piece, and wait until the API has taken it apart."""
    with closing(file):
        start = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(file.size),
            "x-goog-upload-header-content-type": file.mime,
        }
        named = encode({"file": {"display_name": file.name}})

        async def begin() -> HttpReply:
            reply, _ = await provider.fetch(f"{server}/upload/{version}/files", named, headers=start)
            return reply

        try:
            reply = await begin()
        except ProviderError as error:  # nothing is kept so far
            reply = await repeat(begin, provider, error)
        place = reply.headers.get("x-goog-upload-url", "")
        if server_of(place) != server_of(server):  # the key goes nowhere else
            raise ResponseError("the reply to the upload names no address of its own server")
        whole = {
            "x-goog-upload-offset": "0",
            "x-goog-upload-command": "upload, finalize",
            "content-type": file.mime,
        }
        answer = await send_file(provider, place, FileBody(b"", file), whole)
    made = as_object(decode_json(answer, OBJECT).get("file")) or {}
    made = await _ready(provider, f"{server}/{version}", made, answer)
    return FileIdPart(text_of(made.get("name")), provider.name, text_of(made.get("mimeType")) or file.mime)


async def _ready(provider: HttpProvider, server: str, made: dict[str, Any], answer: bytes) -> dict[str, Any]:
    """Wait until a file can be used, as long as the provider's timeout."""
    with anyio.move_on_after(provider.timeout):
        while made.get("state") == "PROCESSING":
            await anyio.sleep(PAUSE)
            _, answer = await provider.fetch(f"{server}/{text_of(made.get('name'))}", b"", method="GET")
            made = decode_json(answer, OBJECT)
    if made.get("state") == "PROCESSING":
        raise ProviderTimeoutError(f"the file {made.get('name')} wasn't ready within {provider.timeout:g} s")
    if made.get("state") == "FAILED" or not text_of(made.get("name")):
        raise ResponseError(f"the file wasn't accepted: {excerpt(answer)}")
    return made
