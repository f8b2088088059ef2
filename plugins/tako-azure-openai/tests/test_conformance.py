"""The promises of every provider, for this one."""

from __future__ import annotations

from typing import Any

from tako_azure_openai import AzureOpenAI

from tako.testing import ProviderSuite


class TestAzureOpenAI(ProviderSuite):
    dialect = "completions"

    def provider(self, base_url: str, **options: Any) -> AzureOpenAI:
        return AzureOpenAI("gpt-4o", api_key=self.secret, endpoint=base_url, **options)
