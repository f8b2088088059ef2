"""Several providers as one: if the first can't answer, the next one does."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast, get_args

from msgspec.structs import replace

from tako import Capabilities, Chat, Notice, Stream, get_provider, hookimpl, notices
from tako.errors import (
    AuthenticationError,
    ConfigurationError,
    ContextLengthError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
    kind_of,
    short_repr,
)
from tako.provider import Provider
from tako_fallback.pauses import Pauses
from tako_fallback.shared import shared_capabilities

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from tako.keywords import RequestOptions
    from tako.types import ChatRequest, ChatResponse, Chunk

Order = Literal["given", "rotate", "cheapest"]
OF_THE_REQUEST = (ContextLengthError, ResponseError)
"""Failures that say nothing about the provider's next request."""
MOVES_ON = (
    TransportError,
    ServerError,
    RateLimitError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    *OF_THE_REQUEST,
)
"""Failures that another provider may not have. Others, such as a bad request or a content filter, are raised."""
SEPARATOR = ","


class Fallback(Provider):
    """Several providers as one: if one fails, the next one answers.

    The response's ``provider``, cost and origin are those of the one that answered, and notices say what failed. Each
    provider makes its own retries first. A stream only moves on before its first chunk.

    Args:
        providers: The providers.
        order: "given", "rotate" (each request starts with the next one) or "cheapest" (by known prices).
        pause: Seconds for which a provider that failed is skipped, unless its vendor says how long (Retry-After).
        capabilities: Replaces what tako worked out, which is what all of them can do.
        deadline: The most time for a call over all providers, in seconds.
        defaults: Request fields that calls leave open.
    """

    name = "fallback"
    max_retries = 0  # the members have theirs
    options_of_providers: ClassVar[frozenset[str]] = frozenset({"providers"})

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        order: Order = "given",
        pause: float = 30.0,
        capabilities: Capabilities | None = None,
        deadline: float | None = None,
        defaults: RequestOptions | None = None,  # Provider takes it; here it's for type checkers
    ) -> None:
        members = _checked(providers)
        if order not in get_args(Order):
            raise ConfigurationError(f"fallback: order is {short_repr(order)}, not one of {', '.join(get_args(Order))}")
        if isinstance(pause, bool) or not isinstance(pause, (int, float)) or not pause >= 0:
            raise ConfigurationError(f"fallback: pause is {short_repr(pause)}, not a number of seconds, 0 or more")
        super().__init__(SEPARATOR.join(member.id for member in members), capabilities=capabilities, deadline=deadline)
        self.members = members
        self.order = order
        self.pauses = Pauses(pause)
        self._turn = 0

    @classmethod
    def from_id(cls, model: str, *, providers: Iterable[Any] = (), **options: Any) -> Self:
        """Make one of ids: ``fallback:openai:gpt-6.2-sol,ollama:qwen3``, or ``providers=[…]``: ids, providers, tables.

        A table has an ``id`` and ``options``, as ``get_provider`` takes them.
        """
        named = [one.strip() for one in model.split(SEPARATOR)] if model else providers
        if isinstance(named, str):
            raise ConfigurationError("fallback: providers is a list, not a str")
        return cls([_made(one) for one in named], **options)

    def sequence(self) -> list[tuple[int, Provider]]:
        """Return the members as the next request asks them, each with its place: those that pause come last."""
        places = list(enumerate(self.members))
        if self.order == "rotate":
            places = places[self._turn :] + places[: self._turn]
            self._turn = (self._turn + 1) % len(places)
        elif self.order == "cheapest":
            places.sort(key=lambda place: _price(place[1]))
        return sorted(places, key=lambda place: self.pauses.left(place[0]))

    async def discover(self) -> Capabilities:
        """Ask all servers what their models can do."""
        for member in self.members:
            await member.discover()
        self.refresh()
        return self.capabilities

    async def aclose(self) -> None:
        """Close the connections of all members."""
        for member in self.members:
            await member.aclose()


@hookimpl
def tako_capabilities(provider: Fallback) -> Capabilities:
    """Return what all members can do."""
    return shared_capabilities(provider.members)


@hookimpl
def tako_chat(provider: Fallback) -> Chat:
    """Ask one after the other."""

    async def chat(request: ChatRequest) -> ChatResponse:
        trial = _Trial(provider)
        for place, member in trial:
            try:
                response = await member.chat(trial.asked(request))
            except MOVES_ON as error:
                trial.failed(place, member, error)
                continue
            provider.pauses.over(place)
            return replace(response, notices=[*trial.notices(member), *response.notices]) if trial.errors else response
        raise trial.lost()

    return chat


@hookimpl
def tako_stream(provider: Fallback) -> Stream:
    """Stream from the first that has a first chunk."""

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        trial = _Trial(provider)
        for place, member in trial:
            async with aclosing(member.stream(trial.asked(request))) as chunks:
                try:
                    first = await anext(chunks)
                except MOVES_ON as error:
                    trial.failed(place, member, error)
                    continue
                provider.pauses.over(place)
                yield trial.noted(first, member)
                try:
                    async for chunk in chunks:
                        yield trial.noted(chunk, member)
                except MOVES_ON as error:  # too late for another one, whom the next request asks
                    trial.failed(place, member, error)
                    raise
                return
        raise trial.lost()

    return stream


class _Trial:
    """One request's way through the members."""

    def __init__(self, provider: Fallback) -> None:
        self.provider = provider
        self.errors: list[tuple[Provider, ProviderError]] = []

    def __iter__(self) -> Any:
        return iter(self.provider.sequence())

    def asked(self, request: ChatRequest) -> ChatRequest:
        """Return the request for a member, whose model is its own."""
        return replace(request, model=None) if request.model == self.provider.model else request

    def failed(self, place: int, member: Provider, error: ProviderError) -> None:
        """Take note of a failure."""
        self.errors.append((member, error))
        if not isinstance(error, OF_THE_REQUEST):
            self.provider.pauses.begin(place, error.retry_after)

    def notices(self, member: Provider) -> list[Notice]:
        """Say what failed, and who answered instead."""
        return [
            Notice(notices.FELL_BACK, f"{failed.id} failed ({_text(error)}), so {member.id} was asked", "", failed.name)
            for failed, error in self.errors
        ]

    def noted(self, chunk: Chunk, member: Provider) -> Chunk:
        """Return a chunk; the End gets the notices."""
        if chunk.kind == "delta" or not self.errors:
            return chunk
        return replace(chunk, notices=[*self.notices(member), *chunk.notices])

    def lost(self) -> ProviderError:
        """Return the error if nobody answered: the last one, with the others in its text."""
        *others, (_, last) = self.errors
        if others:
            text = "; ".join(f"{member.id}: {type(error).__name__}" for member, error in others)
            last.args = (f"{last.args[0] if last.args else ''} (the others failed before: {text})",)
        return last


def _text(error: ProviderError) -> str:
    return f"{type(error).__name__}: {error.args[0] if error.args else ''}"


def _price(member: Provider) -> float:
    """Return what a million tokens in and out cost; unknown prices come last."""
    known = member.capabilities
    if known.usd_per_input_mtok is None or known.usd_per_output_mtok is None:
        return float("inf")
    return known.usd_per_input_mtok + known.usd_per_output_mtok


def _checked(providers: object) -> list[Provider]:
    listed = isinstance(providers, (list, tuple))
    members = [*cast("Sequence[Any]", providers)] if listed else []
    if not members:
        kind = "an empty one" if listed else f"{kind_of(providers)}"
        raise ConfigurationError(f"fallback: providers is a list of providers, at least one, not {kind}")
    for i, member in enumerate(members):
        if not isinstance(member, Provider):
            raise ConfigurationError(f"fallback: providers[{i}] is {kind_of(member)}, not a provider")
    return members


def _made(given: Any) -> Provider:
    if isinstance(given, Provider):
        return given
    if isinstance(given, dict):
        return get_provider(str(given.get("id", "")), **given.get("options", {}))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - a table
    return get_provider(given)
