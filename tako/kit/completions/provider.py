"""A whole plugin for a vendor that speaks Chat Completions: a class with a few attributes, and the hooks behind it.

::

    class Acme(CompletionsProvider):
        \"\"\"A model of Acme's.\"\"\"

        name = "acme"
        base_url = "https://api.acme.example/v1"
        key_variable = "ACME_API_KEY"
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from tako.capabilities import Capabilities
from tako.hooks import hookimpl
from tako.kit.addresses import check_url, server_of
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.discovery import discover_capabilities
from tako.kit.completions.encode import encode_request, translator_for
from tako.kit.completions.exchange import chat_completions, stream_completions
from tako.kit.exchange import Exchange
from tako.kit.fetching import encode_fetched
from tako.kit.http import FetchOptions, HttpProvider
from tako.kit.keys import Secret, find_key, read_key
from tako.kit.listing import decode_models, fetch_json
from tako.kit.models import ModelTable, refine
from tako.kit.uploads import delete_file, file_path, open_file, upload_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.files import FilePath
    from tako.hookspecs import Chat, Stream
    from tako.listing import ModelInfo
    from tako.parts import FileIdPart
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

ASSUMED = Capabilities(
    supports_tools=True, supports_vision=True, supports_json_mode=True, supports_documents=True, supports_audio=True
)
"""What a model of a vendor without a table can do: all that the wire has. It's an assumption."""


class CompletionsProvider(HttpProvider):
    """A vendor that speaks Chat Completions. A subclass says how with class attributes; it needs no hooks of its own.

    - ``name``: the id's prefix. ``codes``: the vendor's own error codes.
    - ``base_url``: where the API is; ``/chat/completions`` goes after it.
    - ``vendor_url``: the vendor's own address if the class has none; prices and dates are those of this address.
    - ``key_variable``: the environment variable of the key; "" if the API needs none.
    - ``key_header``: the header of the key. "authorization" sends it as Bearer, any other as it is.
    - ``dialect``: how its wire differs.
    - ``file_purpose``: what files are uploaded for, in the vendor's word; "" if the API keeps no files. They go to
      ``/files`` after ``base_url``.

    A ``models.toml`` beside the subclass's package says what its models can do (see ``tako.kit.models``).
    """

    base_url: str = ""
    vendor_url: ClassVar[str] = ""
    key_variable: ClassVar[str] = ""
    key_header: ClassVar[str] = "authorization"
    dialect: Dialect = Dialect()
    file_purpose: ClassVar[str] = ""
    conformance: ClassVar[str] = "completions"
    """What ``pytest --tako-provider`` plays for it."""
    discovered: Mapping[str, Any] = {}
    """Fields of Capabilities that the server told, when it was asked."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        **options: Unpack[FetchOptions],
    ) -> None:
        key = self.find_key(api_key)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, **options)
        self.base_url = check_url(base_url or self.base_url, "base_url", self.id, beyond="/chat/completions|/responses")
        self.server = server_of(self.base_url)
        if key is not None:
            bearer = self.key_header.lower() == "authorization"
            self.add_headers({self.key_header: key.prefixed("Bearer ") if bearer else key})

    @classmethod
    def find_key(cls, value: str | Secret | None) -> Secret | None:
        """Read the key, as given or from the vendor's variable; None if the API needs none.

        Raises ConfigurationError if there is no key and the API needs one.
        """
        if cls.key_variable:
            return read_key(value, cls.key_variable, cls.name)
        return find_key(value, "", cls.name) if value is not None else None

    def dialect_of(self, model: str) -> Dialect:
        """Return how one model's wire differs; override it if models differ."""
        return self.dialect

    @property
    def at_vendor(self) -> bool:
        """Whether the address is the vendor's own."""
        return self.base_url == (self.vendor_url or type(self).base_url)

    @property
    def wire_model(self) -> str:
        """The model in the body of a request that names none itself."""
        return self.model

    def url_of(self, model: str | None) -> str:
        """Return the address that requests go to; ``model`` is the one that a request names itself, or None."""
        return f"{self.base_url}/chat/completions"

    def encode(
        self, request: ChatRequest, translator: Translator, context: PartContext, *, stream: bool
    ) -> dict[str, Any]:
        """Make the body of a request."""
        dialect = self.dialect_of(context.known_as)
        return encode_request(request, self.wire_model, translator, context, dialect, stream=stream)

    @property
    def models_url(self) -> str:
        """The address of the list of models."""
        return f"{self.base_url}/models"

    @property
    def files_url(self) -> str:
        """The address of the files that the vendor keeps."""
        return f"{self.base_url}/files"

    async def list_models(self) -> list[ModelInfo]:
        """List the models of the vendor, or of the server. Raises ProviderError."""
        reply = await fetch_json(self, self.models_url)
        return decode_models(reply.get("data"), provider=self)

    async def upload_file(self, path: FilePath, mime: str | None, name: str | None) -> FileIdPart:
        """Give a file to the vendor, who keeps it, and return the part that stands for it."""
        if not self.file_purpose:
            return await super().upload_file(path, mime, name)
        file = await open_file(path, mime, name)
        return await upload_form(self, self.files_url, file, {"purpose": self.file_purpose})

    async def delete(self, file: FileIdPart) -> None:
        """Delete a file that was uploaded."""
        if not self.file_purpose:
            return await super().delete(file)
        path, query, rest = self.files_url.partition("?")
        return await delete_file(self, f"{path}/{file_path(file, self)}{query}{rest}")

    async def discover(self) -> Capabilities:
        """Ask the server for its models, and remember what it says of this one. Raises ProviderError.

        OpenAI itself says nothing but that the model is there; other servers say how long its context is, and more.
        """
        self.discovered = await discover_capabilities(self, f"{self.base_url}/models")
        self.refresh()
        return self.capabilities


@hookimpl
def tako_capabilities(provider: CompletionsProvider) -> Capabilities:
    """Read the table beside the class, and what the server said when it was asked."""
    tables = (table_of(cls.__module__) for cls in type(provider).__mro__ if issubclass(cls, CompletionsProvider))
    table = next(filter(None, tables), None)
    capabilities = table.find(provider.named(provider.model)) if table is not None else ASSUMED
    return refine(capabilities, provider.discovered, f"{provider.base_url}/models")


@hookimpl
def tako_translator(provider: CompletionsProvider) -> Translator:
    """Translate as the dialect does."""
    return translator_for(provider.dialect, provider.dialect_of)


@hookimpl
def tako_chat(provider: CompletionsProvider, translator: Translator) -> Chat:
    """Ask for a whole reply."""
    return chat_completions(provider, translator, partial(prepare, provider, translator), provider.dialect)


@hookimpl
def tako_stream(provider: CompletionsProvider, translator: Translator) -> Stream:
    """Ask for a reply in Server-Sent Events."""
    return stream_completions(provider, translator, partial(prepare, provider, translator), provider.dialect)


async def prepare(
    provider: CompletionsProvider, translator: Translator, request: ChatRequest, stream: bool
) -> Exchange:
    """Encode a request."""

    def encode(request: ChatRequest, context: PartContext) -> Exchange:
        body = provider.encode(request, translator, context, stream=stream)
        return Exchange(provider.url_of(request.model), body, context)

    return await encode_fetched(provider, request, encode)


@cache
def table_of(module: str) -> ModelTable | None:
    """Find the table of a module's package, or None if it ships none."""
    from importlib.resources import files

    package = getattr(sys.modules.get(module), "__package__", None)
    with suppress(ImportError):  # a module that is run, not imported
        return ModelTable(package) if package and files(package).joinpath("models.toml").is_file() else None
    return None
