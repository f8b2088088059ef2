"""What every provider promises, of an endpoint that is described by data: the example that speaks Chat Completions."""

from __future__ import annotations

from typing import Any, ClassVar

from tako_http_generic import EXAMPLES, HttpGeneric

from tako.testing import ProviderSuite
from tako.testing.suite import SECRET


class TestHttpGeneric(ProviderSuite):
    dialect = "completions"
    not_applicable: ClassVar = {"opaque_state": "its settings say where text, reasoning and calls are, and no more"}
    environment: ClassVar = {"OPENAI_API_KEY": SECRET}

    def provider(self, base_url: str, **options: Any) -> HttpGeneric:
        return HttpGeneric.from_file(EXAMPLES / "openai.toml", "gpt-4o", url=base_url, **options)
