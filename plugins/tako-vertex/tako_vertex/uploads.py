"""Files that the Gemini Developer API stores for two days (https://ai.google.dev/api/files)."""

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
POLL_INTERVAL = 1.0
"""Seconds between requests for the state of a file, which Google processes first."""


async def upload(provider: HttpProvider, server: str, version: str, file: LocalFile) -> FileIdPart:
    """Upload a file by the resumable protocol in one request, and wait until the API has processed it."""
    with closing(file):
        start_headers = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(file.size),
            "x-goog-upload-header-content-type": file.mime,
        }
        metadata = encode({"file": {"display_name": file.name}})

        async def start_upload() -> HttpReply:
            reply, _ = await provider.fetch(f"{server}/upload/{version}/files", metadata, headers=start_headers)
            return reply

        try:
            reply = await start_upload()
        except ProviderError as error:  # nothing is stored yet
            reply = await repeat(start_upload, provider, error)
        upload_url = reply.headers.get("x-goog-upload-url", "")
        if server_of(upload_url) != server_of(server):  # the key isn't sent to another server
            raise ResponseError("the reply to the upload has no URL of the same server")
        headers = {
            "x-goog-upload-offset": "0",
            "x-goog-upload-command": "upload, finalize",
            "content-type": file.mime,
        }
        body = await send_file(provider, upload_url, FileBody(b"", file), headers)
    info = as_object(decode_json(body, OBJECT).get("file")) or {}
    info = await _wait_until_ready(provider, f"{server}/{version}", info, body)
    return FileIdPart(text_of(info.get("name")), provider.name, text_of(info.get("mimeType")) or file.mime)


async def _wait_until_ready(provider: HttpProvider, server: str, info: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Wait until a file can be used, at most for the provider's timeout."""
    with anyio.move_on_after(provider.timeout):
        while info.get("state") == "PROCESSING":
            await anyio.sleep(POLL_INTERVAL)
            _, body = await provider.fetch(f"{server}/{text_of(info.get('name'))}", b"", method="GET")
            info = decode_json(body, OBJECT)
    if info.get("state") == "PROCESSING":
        raise ProviderTimeoutError(f"the file {info.get('name')} wasn't ready within {provider.timeout:g} s")
    if info.get("state") == "FAILED" or not text_of(info.get("name")):
        raise ResponseError(f"the file wasn't accepted: {excerpt(body)}")
    return info
