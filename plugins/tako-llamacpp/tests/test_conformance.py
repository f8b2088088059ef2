"""The conformance suite with a real model, whose answers can't be scripted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tako import ChatRequest, Message
from tako.testing import ProviderSuite

if TYPE_CHECKING:
    from tako.providers import LlamaCpp


class TestLlamaCpp(ProviderSuite):
    not_applicable: ClassVar = {
        "scripted": "a real model answers, and says what it likes",
        "http": "it runs in this process",
        "images": "models in process see none",
        "tools": "the chat template of the embedded model has no place for them",
    }
    hello = ChatRequest([Message.system("Be brief."), Message.user("Say hello.")], temperature=0.0, max_tokens=4)

    @pytest.fixture(autouse=True)
    def loaded(self, model: LlamaCpp) -> None:
        """The model stays in memory while the providers of the checks come and go."""

    def provider(self, base_url: str, **options: Any) -> LlamaCpp:
        from tako.providers import LlamaCpp

        return LlamaCpp()
