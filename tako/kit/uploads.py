"""Files for vendors that keep them: a multipart form, sent while the file is read from disk."""

from __future__ import annotations

from contextlib import closing
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
from anyio import to_thread

from tako.builtin.retries import repeat
from tako.errors import ConfigurationError, OverloadedError, RateLimitError, ResponseError
from tako.files import LocalFile
from tako.json_values import text_of
from tako.kit.body import decode_json, excerpt
from tako.kit.checks import path_of
from tako.kit.wire import FileBody
from tako.parts import FileIdPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.files import FilePath
    from tako.kit.http import HttpProvider

RETRYABLE = (RateLimitError, OverloadedError)
"""Refusals of a vendor that hasn't taken a file."""
OBJECT = msgspec.json.Decoder(dict[str, Any])
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # https://html.spec.whatwg.org/#multipart-form-data


async def open_file(path: FilePath, mime: str | None, name: str | None) -> LocalFile:
    """Open a file and find out its type, off the event loop. Raises OSError."""
    return await to_thread.run_sync(lambda: LocalFile(path, mime=mime, name=name))


def file_path(file: FileIdPart, provider: HttpProvider) -> str:
    """Return the id of a file as a part of an address. Raises ConfigurationError for one of another vendor's."""
    if file.provider != provider.name:
        raise ConfigurationError(f"{provider.id}: the file {file.id!r} was uploaded to {file.provider}")
    return path_of(file.id, "the file", provider.id, safe="/")


async def delete_file(provider: HttpProvider, url: str, headers: Mapping[str, str] | None = None) -> None:
    """Delete what is at an address. Raises ProviderError."""
    await provider.fetch(url, b"", method="DELETE", headers=headers or {})


async def upload_form(
    provider: HttpProvider,
    url: str,
    file: LocalFile,
    fields: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
) -> FileIdPart:
    """Upload a file as the part ``file`` of a form, after its other fields; the reply has the ``id`` that it got.

    The file is closed at the end. Raises ProviderError.
    """
    boundary = token_hex(16)
    parts = [(f'form-data; name="{name}"', "", value) for name, value in fields.items()]
    disposition_of_file = f'form-data; name="file"; filename="{file.name.translate(_ESCAPES)}"'
    parts.append((disposition_of_file, f"Content-Type: {file.mime}\r\n", ""))
    headers_of_parts = [
        f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{content_type}\r\n{value}"
        for disposition, content_type, value in parts
    ]
    with closing(file):
        body = FileBody("\r\n".join(headers_of_parts).encode(), file, f"\r\n--{boundary}--\r\n".encode())
        all_headers = {**(headers or {}), "content-type": f"multipart/form-data; boundary={boundary}"}
        answer = await send_file(provider, url, body, all_headers)
    return FileIdPart(read_file_id(answer), provider.name, file.mime)


async def send_file(provider: HttpProvider, url: str, body: FileBody, headers: Mapping[str, str]) -> bytes:
    """Send a file and return the reply; again if the vendor refused it for its rate or its load. Raises ProviderError.

    After any other failure the vendor may have kept the file, and would keep it twice.
    """

    async def send() -> bytes:
        _, answer = await provider.fetch(url, body, headers=headers)
        return answer

    try:
        return await send()
    except RETRYABLE as error:
        return await repeat(send, provider, error, RETRYABLE)


def read_file_id(answer: bytes) -> str:
    """Read the id in the reply to an upload; raises ResponseError if there isn't one."""
    id = text_of(decode_json(answer, OBJECT).get("id"))
    if not id:
        raise ResponseError(f"the reply to the upload has no id: {excerpt(answer)}")
    return id
