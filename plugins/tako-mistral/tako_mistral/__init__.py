"""Mistral's chat API (https://docs.mistral.ai/api/endpoint/chat)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from msgspec.structs import replace

from tako.errors import NotFoundError, OverloadedError, RateLimitError
from tako.kit.checks import check_kind
from tako.kit.completions import CompletionsProvider, Dialect
from tako.kit.file_limits import MB, Limit
from tako.kit.schemas import MISTRAL
from tako_mistral.files import encode_file
from tako_mistral.wire import arrange, call_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tako.errors import ProviderError
    from tako.kit.http import FetchOptions
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

LIMITS = (Limit("https://docs.mistral.ai/capabilities/document_ai/document_qna", ("document",), each=50 * MB),)
BASE_URL = "https://api.mistral.ai/v1"


class Mistral(CompletionsProvider):
    """A model of Mistral.

    Args:
        model: The model, such as "mistral-large-latest".
        api_key: The key, or "$ENV:NAME". None reads MISTRAL_API_KEY.
        base_url: Another server, such as https://api.eu.mistral.ai/v1 or https://api.us.mistral.ai/v1.
        safe_prompt: Whether Mistral puts its safety prompt before every conversation. None leaves that to Mistral.
        random_seed: The seed of requests without one.
    """

    name = "mistral"
    needs_event_loop = False
    key_variable = "MISTRAL_API_KEY"
    file_purpose = "ocr"
    vendor_url = BASE_URL
    dialect = Dialect(
        seed="random_seed",
        required="any",
        stream_usage=False,
        refusal=False,
        call_ids=call_ids,
        file=encode_file,
        arrange=arrange,
        wire=MISTRAL,
    )
    codes: ClassVar[Mapping[str, type[ProviderError]]] = {
        "invalid_model": NotFoundError,
        "rate_limited": RateLimitError,
        "service_tier_capacity_exceeded": OverloadedError,
    }

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str = BASE_URL,
        safe_prompt: bool | None = None,
        random_seed: int | None = None,
        **options: Unpack[FetchOptions],
    ) -> None:
        key = self.find_key(api_key)
        api_key = None  # a traceback with locals shows this frame
        super().__init__(model, api_key=key, base_url=base_url, **options)
        check_kind(safe_prompt, bool, "safe_prompt", self.id, "True or False")
        check_kind(random_seed, int, "random_seed", self.id, "an int")
        defaults = {"safe_prompt": safe_prompt, "random_seed": random_seed}
        self.fields = {name: value for name, value in defaults.items() if value is not None}

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return Mistral's limits of documents."""
        return LIMITS

    def dialect_of(self, model: str) -> Dialect:
        """Return the differences of this model's API: Magistral always reasons and accepts no effort."""
        return replace(self.dialect, reasoning_effort=None) if "magistral" in model else self.dialect

    def encode(
        self, request: ChatRequest, translator: Translator, context: PartContext, *, stream: bool
    ) -> dict[str, Any]:
        """Make the body of a request; its fields override those of the options."""
        return {**self.fields, **super().encode(request, translator, context, stream=stream)}
