"""What every provider promises, of this one."""

from __future__ import annotations

from typing import Any

from tako_vertex import Vertex
from tako_vertex.gemini import Gemini

from tako.testing import ProviderSuite


class TestVertex(ProviderSuite):
    dialect = "gemini"

    def provider(self, base_url: str, **options: Any) -> Vertex:
        return Vertex("gemini-2.5-flash", access_token=self.secret, project_id="p", endpoint_url=base_url, **options)


class TestGemini(ProviderSuite):
    dialect = "gemini"

    def provider(self, base_url: str, **options: Any) -> Gemini:
        return Gemini("gemini-2.5-flash", api_key=self.secret, base_url=base_url, **options)
