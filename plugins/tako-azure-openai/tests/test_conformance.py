"""What every provider promises, of this one."""

from __future__ import annotations

from typing import Any

from tako.testing import ProviderSuite
from tako_azure_openai import AzureOpenAI


class TestAzureOpenAI(ProviderSuite):
    dialect = "completions"

    def provider(self, base_url: str, **options: Any) -> AzureOpenAI:
        return AzureOpenAI("gpt-4o", api_key=self.secret, endpoint=base_url, **options)
