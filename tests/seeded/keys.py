"""Faults that show the key."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tako.errors import ProviderError

from .acme import Acme, Plugin

if TYPE_CHECKING:
    from tako import Chat, ChatRequest
    from tako.types import ChatResponse


class KeyInRepr(Plugin):
    caught_by, message = "key_in_repr", "repr() shows the key"

    class Shown(Acme):
        def __repr__(self) -> str:
            return f"<Acme {self.id} {self.key.reveal()}>"

    provider = Shown


class KeyInVars(Plugin):
    caught_by, message = "key_in_repr", "vars() shows the key"

    class Shown(Acme):
        def __init__(self, model: str, *, api_key: str, **options: Any) -> None:
            super().__init__(model, api_key=api_key, **options)
            self.api_key = api_key

        def __getstate__(self) -> dict[str, Any]:
            return {name: value for name, value in super().__getstate__().items() if name != "api_key"}

    provider = Shown


class KeyInPickle(Plugin):
    caught_by, message = "key_in_pickle", "the pickle holds the key"

    class Carried(Acme):
        def __getstate__(self) -> dict[str, Any]:
            return {**super().__getstate__(), "saved": self.key.reveal()}

    provider = Carried


class KeyInLogs(Plugin):
    caught_by, message = "key_in_logs", "a record of the logger 'acme' shows the key"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        def chat(request: ChatRequest) -> Any:
            logging.getLogger("acme").debug("asking with %s", provider.key.reveal())
            return inner(request)

        return chat


class KeyInErrors(Plugin):
    caught_by, message = "key_in_errors", "shows the key"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                error.args = (f"{error.args[0]} (with the key {provider.key.reveal()})",)
                raise

        return chat


class KeyInLocals(Plugin):
    caught_by, message = "key_in_errors", "the traceback with locals shows the key"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            header = f"Bearer {provider.key.reveal()}"  # noqa: F841 - that it lies about is the fault
            return await inner(request)

        return chat
