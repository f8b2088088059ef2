"""What every provider promises, of this one."""

from __future__ import annotations

from typing import Any

from tako_anthropic import Anthropic

from tako.testing import ProviderSuite


class TestAnthropic(ProviderSuite):
    dialect = "messages"

    def provider(self, base_url: str, **options: Any) -> Anthropic:
        return Anthropic("claude-sonnet-4-5", api_key=self.secret, base_url=base_url, **options)
