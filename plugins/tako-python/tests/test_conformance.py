"""The conformance suite for PythonProvider."""

from __future__ import annotations

from typing import Any, ClassVar

from tako_python import PythonProvider

from tako.testing import ProviderSuite
from tako.testing.dialects import stage_at


class TestPythonProvider(ProviderSuite):
    dialect = "in process"
    not_applicable: ClassVar = {
        "http": "a callable answers without a wire",
        "key": "there are no keys",
        "notices": "callables get every part of a request unchanged",
        "state": "what a callable wants back it keeps itself",
    }

    def provider(self, base_url: str, **options: Any) -> PythonProvider:
        stage = stage_at(base_url)
        return PythonProvider("scripted", stage.chat, stream=stage.stream)
