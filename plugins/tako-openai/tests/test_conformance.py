"""The promises of every provider, for this one."""

from __future__ import annotations

from typing import Any

from tako_openai import OpenAI

from tako.testing import ProviderSuite


class TestOpenAI(ProviderSuite):
    dialect = "completions"

    def provider(self, base_url: str, **options: Any) -> OpenAI:
        return OpenAI("gpt-4o", api_key=self.secret, base_url=base_url, **options)


class TestResponses(ProviderSuite):
    dialect = "responses"

    def provider(self, base_url: str, **options: Any) -> OpenAI:
        return OpenAI("gpt-6.2-sol", api_key=self.secret, base_url=base_url, api="responses", **options)
