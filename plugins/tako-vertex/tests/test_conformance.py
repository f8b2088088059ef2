"""The tests that every provider passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from tako_vertex import Vertex
from tako_vertex.gemini import Gemini

from tako.testing import ProviderSuite
from tako.testing.dialects.messages import Messages

if TYPE_CHECKING:
    from tako.testing.dialects import Asked
    from tako.testing.server import Received


class TestVertex(ProviderSuite):
    dialect = "gemini"

    def provider(self, base_url: str, **options: Any) -> Vertex:
        return Vertex("gemini-2.5-flash", access_token=self.secret, project_id="p", endpoint_url=base_url, **options)


class TestGemini(ProviderSuite):
    dialect = "gemini"

    def provider(self, base_url: str, **options: Any) -> Gemini:
        return Gemini("gemini-2.5-flash", api_key=self.secret, base_url=base_url, **options)


class MessagesOnVertex(Messages):
    """The Messages API with the model in the URL."""

    def read(self, request: Received) -> Asked:
        model = request.path.rpartition("/models/")[2].partition(":")[0]
        return super().read(replace(request, body=msgspec.json.encode({"model": model, **request.json})))


class TestClaudeOnVertex(ProviderSuite):
    dialect = MessagesOnVertex()

    def provider(self, base_url: str, **options: Any) -> Vertex:
        return Vertex("claude-sonnet-4-5", access_token=self.secret, project_id="p", endpoint_url=base_url, **options)
