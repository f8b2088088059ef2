"""What every provider promises, of this one."""

from __future__ import annotations

from typing import Any

from tako.testing import ProviderSuite
from tako.testing.dialects import stage_at
from tako_python import PythonProvider


class TestPythonProvider(ProviderSuite):
    dialect = "in process"
    not_applicable = {
        "http": "there is no wire: callables answer",
        "key": "there is nobody to show a key to",
        "notices": "callables take every part of a request as it is",
        "state": "what a callable wants back it keeps itself",
    }

    def provider(self, base_url: str, **options: Any) -> PythonProvider:
        stage = stage_at(base_url)
        return PythonProvider("scripted", stage.chat, stream=stage.stream)
