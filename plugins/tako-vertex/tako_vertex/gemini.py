"""The Gemini Developer API (https://ai.google.dev/api/generate-content): Gemini with a key alone, without a project."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from msgspec.structs import replace

from tako import Translator, hookimpl, notices
from tako.errors import MissingKeyError
from tako.kit.addresses import check_url
from tako.kit.checks import Default, explicit, path_of
from tako.kit.keys import find_key
from tako.kit.listing import fetch_models
from tako.kit.uploads import delete_file, file_path, open_file
from tako.parts import FileIdPart, FileUrlPart, ImageUrlPart, Part
from tako_vertex.generate_content import GenerateContentProvider
from tako_vertex.parts import decode_block, encode_part
from tako_vertex.uploads import upload

if TYPE_CHECKING:
    from tako.files import FilePath
    from tako.kit.http import FetchOptions
    from tako.listing import ModelInfo
    from tako.translator import PartContext

BASE_URL = Default("https://generativelanguage.googleapis.com")
KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
VERSION = "v1beta"


class Gemini(GenerateContentProvider):
    """A Gemini model through the Gemini Developer API.

    Args:
        model: The model, such as "gemini-3.8-flash".
        api_key: The key, or "$ENV:NAME". None reads GEMINI_API_KEY, then GOOGLE_API_KEY.
        base_url: Another server, without the version. By default GOOGLE_GEMINI_BASE_URL, else Google's own.
    """

    name = "gemini"
    needs_event_loop = False
    labels = False

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = BASE_URL,
        **options: Unpack[FetchOptions],
    ) -> None:
        key = find_key(api_key, KEYS[0], self.name)
        if key is None:
            key = find_key(None, KEYS[1], self.name)
        api_key = None  # a traceback with locals shows this frame
        if key is None:
            raise MissingKeyError(f"{self.name} has no key: set {' or '.join(KEYS)}")
        super().__init__(model, **options)
        self._model_path(model)
        url = explicit(base_url) or os.environ.get("GOOGLE_GEMINI_BASE_URL") or BASE_URL
        self.base_url = check_url(url, "base_url", self.id, beyond="/v1(?:beta)?(?:/.*)?")
        self.add_headers({"x-goog-api-key": key})

    @property
    def at_vendor(self) -> bool:
        """Whether the address is the vendor's own."""
        return self.base_url == str(BASE_URL)

    async def url(self, model: str, *, verb: str) -> str:
        """Return the URL of a call."""
        return f"{self.base_url}/{VERSION}/{self._model_path(model)}:{verb}"

    async def list_models(self) -> list[ModelInfo]:
        """List the models of the API. Raises ProviderError."""
        return await fetch_models(self, f"{self.base_url}/{VERSION}/models", "models", "models/")

    def count_body(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body for countTokens, which takes a whole request."""
        return {"generateContentRequest": {"model": path.partition(f"/{VERSION}/")[2], **body}}

    async def upload_file(self, path: FilePath, mime: str | None, name: str | None) -> FileIdPart:
        """Upload a file to Google, which stores it for two days, and return its part."""
        return await upload(self, self.base_url, VERSION, await open_file(path, mime, name))

    async def delete(self, file: FileIdPart) -> None:
        """Delete a file that was uploaded."""
        await delete_file(self, f"{self.base_url}/{VERSION}/{file_path(file, self)}")

    def _model_path(self, model: str) -> str:
        """Return a model's path. A bare name is one of Google's, "tunedModels/…" is one of your own."""
        name = model.strip("/")
        path = path_of(name, "model", self.name, safe="/")
        return path if name.startswith(("models/", "tunedModels/")) else f"models/{path}"


@hookimpl
def tako_translator(provider: Gemini) -> Translator:
    """Translate as Vertex does. But only Vertex reads from Cloud Storage, and only this API stores files."""
    return Translator(partial(encode, files_url=f"{provider.base_url}/{VERSION}"), decode_block)


def encode(part: Part, context: PartContext, files_url: str) -> dict[str, Any] | None:
    """Return the block of one part, or None with a notice. ``files_url`` is the URL of files that the API stores."""
    if isinstance(part, FileIdPart) and part.id.startswith("files/"):
        return encode_part(replace(part, id=f"{files_url}/{part.id}"), context)
    if isinstance(part, (ImageUrlPart, FileUrlPart)) and part.url[:5].lower() == "gs://":
        context.notice(notices.UNSUPPORTED_URL, "a file was left out: the API doesn't read from Cloud Storage")
        return None
    return encode_part(part, context)
