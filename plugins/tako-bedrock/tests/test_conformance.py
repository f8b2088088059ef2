"""What every provider promises, of this one."""

from __future__ import annotations

from typing import Any, ClassVar

from tako_bedrock import Bedrock

from tako.testing import ProviderSuite
from tako.testing.suite import SECRET


class TestBedrock(ProviderSuite):
    dialect = "converse"
    environment: ClassVar = {"AWS_BEARER_TOKEN_BEDROCK": SECRET}

    def provider(self, base_url: str, **options: Any) -> Bedrock:
        return Bedrock("anthropic.claude-sonnet-4-5-v1:0", region="us-east-1", endpoint_url=base_url, **options)
