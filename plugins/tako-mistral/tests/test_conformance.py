"""The promises of every provider, for this one."""

from __future__ import annotations

from typing import Any

from tako_mistral import Mistral

from tako.testing import ProviderSuite


class TestMistral(ProviderSuite):
    dialect = "completions"

    def provider(self, base_url: str, **options: Any) -> Mistral:
        return Mistral("mistral-large-latest", api_key=self.secret, base_url=base_url, **options)
