"""The functions that answer for one provider, as the hooks returned them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tako.builtin import ONCE
from tako.hooks import PLUGINS, Hooks
from tako.hooks.inside import inside
from tako.hooks.layers import around_provider
from tako.hookspecs import Chat, Stream
from tako.translator import Translator

if TYPE_CHECKING:
    from tako.provider import Provider

MOST_TRIES = 100
"""How often hooks are asked again because plugins change meanwhile, perhaps because they're asked."""


class Handlers(Struct, frozen=True):
    """What the hooks returned for one provider, as long as plugins don't change.

    ``wrappers`` are the general plugins around chat and stream, ``own_chat`` is chat with none of them. ``nested`` are
    the functions for calls from the provider's own code, made when there are any.
    """

    hooks: Hooks
    translator: Translator
    chat: Chat
    stream: Stream
    own_chat: Chat
    wrappers: dict[str, list[str]]
    nested: dict[tuple[str, str], Any] = {}

    def inside(self, provider: Provider, way: Literal["chat", "stream"]) -> Any:
        """Return the function for a call that may come from the provider's own code.

        What went around the outer call doesn't go around that one.
        """
        outer = inside(provider)
        if outer is None:
            return getattr(self, way)
        key = outer.way, way
        if key not in self.nested:
            if key == ("alone", "chat"):
                made: Any = around_provider("tako_chat", self.own_chat, provider)
            else:
                without = [*ONCE, *self.wrappers[outer.way]]
                made = PLUGINS.ask(f"tako_{way}", provider, self.translator, without=without)
            self.nested[key] = made
        return self.nested[key]


def bind(provider: Provider) -> Handlers:
    """Ask the hooks, and again while plugins change meanwhile."""
    handlers, tries = _ask(provider), 1
    while handlers.hooks.stale and tries < MOST_TRIES:
        handlers, tries = _ask(provider), tries + 1
    return handlers


def _ask(provider: Provider) -> Handlers:
    hooks = PLUGINS.hooks(type(provider))  # before asking: it's stale if a plugin comes or is left out meanwhile
    translator: Translator = PLUGINS.ask("tako_translator", provider)
    chat, stream = (PLUGINS.bind(hook, provider, translator) for hook in ("tako_chat", "tako_stream"))
    wrappers = {"chat": chat.wrappers, "stream": stream.wrappers, "alone": stream.wrappers}
    return Handlers(hooks, translator, chat.value, stream.value, chat.own, wrappers)
