"""The functions that the hooks returned for one provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tako.builtin import ONCE
from tako.hooks import PLUGINS, Hooks
from tako.hooks.counting import COUNT, outside_count
from tako.hooks.layers import around_provider
from tako.hooks.nested_calls import outer_call
from tako.hookspecs import Chat, Stream
from tako.translator import Translator

if TYPE_CHECKING:
    from tako.provider import Provider

MAX_TRIES = 100
"""How often the hooks are called again if plugins change in between, perhaps because of the call itself."""


class Handlers(Struct, frozen=True):
    """What the hooks returned for one provider. Valid until plugins change.

    ``wrappers`` are the general plugins around chat and stream, ``own_chat`` is chat with none of them. ``nested`` are
    the functions for calls from the provider's own code, made on first use.
    """

    hooks: Hooks
    translator: Translator
    chat: Chat
    stream: Stream
    own_chat: Chat
    needs_event_loop: bool
    """Whether a general plugin with a part in ``chat`` may use asyncio."""
    wrappers: dict[str, list[str]]
    nested: dict[tuple[str, str], Any] = {}

    def for_nested_call(self, provider: Provider, method: Literal["chat", "stream"]) -> Any:
        """Return the function for a call that may come from the provider's own code.

        A nested call isn't wrapped again in the plugins around the outer call.
        """
        function = self._for_nested_call(provider, method)
        return function if COUNT.get() is None else outside_count(function, method)

    def _for_nested_call(self, provider: Provider, method: Literal["chat", "stream"]) -> Any:
        outer = outer_call(provider)
        if outer is None:
            return getattr(self, method)
        key = outer.method, method
        if key not in self.nested:
            if key == ("chat_only", "chat"):
                function: Any = around_provider("tako_chat", self.own_chat, provider)
            else:
                excluded = [*ONCE, *self.wrappers[outer.method]]
                function = PLUGINS.ask(f"tako_{method}", provider, self.translator, without=excluded)
            self.nested[key] = function
        return self.nested[key]


def bind(provider: Provider) -> Handlers:
    """Call the hooks, again if plugins change in between."""
    handlers, tries = _call_hooks(provider), 1
    while handlers.hooks.stale and tries < MAX_TRIES:
        handlers, tries = _call_hooks(provider), tries + 1
    return handlers


def _call_hooks(provider: Provider) -> Handlers:
    hooks = PLUGINS.hooks(type(provider))  # first: it's stale if a plugin is added or left out in between
    translator = PLUGINS.bind("tako_translator", provider)
    chat, stream = (PLUGINS.bind(hook, provider, translator.value) for hook in ("tako_chat", "tako_stream"))
    wrappers = {"chat": chat.wrappers, "stream": stream.wrappers, "chat_only": stream.wrappers}
    return Handlers(
        hooks,
        translator.value,
        chat.value,
        stream.value,
        chat.own_result,
        chat.needs_event_loop or translator.needs_event_loop,
        wrappers,
    )
