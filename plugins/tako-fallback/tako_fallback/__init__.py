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
from tako_fallback.shared_capabilities import shared_capabilities

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from tako.keywords import RequestOptions
    from tako.types import ChatRequest, ChatResponse, Chunk

Order = Literal["given", "rotate", "cheapest"]
REQUEST_FAILURES = (ContextLengthError, ResponseError)
"""Failures of one request; the provider may answer the next one."""
TRY_NEXT = (
    TransportError,
    ServerError,
    RateLimitError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    *REQUEST_FAILURES,
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
    max_retries = 0  # the members have their own
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
        members = _check_members(providers)
        if order not in get_args(Order):
            raise ConfigurationError(f"fallback: order is {short_repr(order)}, not one of {', '.join(get_args(Order))}")
        if isinstance(pause, bool) or not isinstance(pause, (int, float)) or not pause >= 0:
            raise ConfigurationError(f"fallback: pause is {short_repr(pause)}, not a number of seconds, 0 or more")
        super().__init__(SEPARATOR.join(member.id for member in members), capabilities=capabilities, deadline=deadline)
        self.members = members
        self.order = order
        self.pauses = Pauses(pause)
        self._next_start = 0

    @classmethod
    def from_id(cls, model: str, *, providers: Iterable[Any] = (), **options: Any) -> Self:
        """Make a provider from ids: ``fallback:openai:gpt-6.2-sol,ollama:qwen3``, or from ``providers=[…]``.

        ``providers`` contains ids, providers or tables. A table has an ``id`` and ``options``, as for ``get_provider``.
        """
        specs = [id.strip() for id in model.split(SEPARATOR)] if model else providers
        if isinstance(specs, str):
            raise ConfigurationError("fallback: providers must be a list, not a str")
        return cls([_make_provider(spec) for spec in specs], **options)

    def sequence(self) -> list[tuple[int, Provider]]:
        """Return the members in the order of the next request, each with its index. Paused members come last."""
        indexed = list(enumerate(self.members))
        if self.order == "rotate":
            indexed = indexed[self._next_start :] + indexed[: self._next_start]
            self._next_start = (self._next_start + 1) % len(indexed)
        elif self.order == "cheapest":
            indexed.sort(key=lambda pair: _price(pair[1]))
        return sorted(indexed, key=lambda pair: self.pauses.seconds_left(pair[0]))

    async def discover(self) -> Capabilities:
        """Discover what the models of all members can do."""
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
    """Call one member after the other."""

    async def chat(request: ChatRequest) -> ChatResponse:
        attempts = _Attempts(provider)
        for index, member in attempts:
            try:
                response = await member.chat(attempts.request_for_member(request))
            except TRY_NEXT as error:
                attempts.add_failure(index, member, error)
                continue
            provider.pauses.end(index)
            return (
                replace(response, notices=[*attempts.notices(member), *response.notices])
                if attempts.errors
                else response
            )
        raise attempts.final_error()

    return chat


@hookimpl
def tako_stream(provider: Fallback) -> Stream:
    """Stream from the first member that sends a chunk."""

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        attempts = _Attempts(provider)
        for index, member in attempts:
            async with aclosing(member.stream(attempts.request_for_member(request))) as chunks:
                try:
                    first = await anext(chunks)
                except TRY_NEXT as error:
                    attempts.add_failure(index, member, error)
                    continue
                provider.pauses.end(index)
                yield attempts.with_notices(first, member)
                try:
                    async for chunk in chunks:
                        yield attempts.with_notices(chunk, member)
                except TRY_NEXT as error:  # too late for another member; the next request uses it
                    attempts.add_failure(index, member, error)
                    raise
                return
        raise attempts.final_error()

    return stream


class _Attempts:
    """The attempts of one request, member by member."""

    def __init__(self, provider: Fallback) -> None:
        self.provider = provider
        self.errors: list[tuple[Provider, ProviderError]] = []

    def __iter__(self) -> Any:
        return iter(self.provider.sequence())

    def request_for_member(self, request: ChatRequest) -> ChatRequest:
        """Return the request for a member, which uses its own model."""
        return replace(request, model=None) if request.model == self.provider.model else request

    def add_failure(self, index: int, member: Provider, error: ProviderError) -> None:
        """Record a failure, and pause the member."""
        self.errors.append((member, error))
        if not isinstance(error, REQUEST_FAILURES):
            self.provider.pauses.start(index, error.retry_after)

    def notices(self, member: Provider) -> list[Notice]:
        """Return notices that say what failed, and which member answered."""
        return [
            Notice(
                notices.FELL_BACK,
                f"{self._name(failed)} failed ({_text(error)}), so {self._name(member)} was used",
                "",
                failed.name,
            )
            for failed, error in self.errors
        ]

    def _name(self, member: Provider) -> str:
        """Return a member's id. If others have the same, it's the label, or the place in the list."""
        members = self.provider.members
        if sum(other.id == member.id for other in members) == 1:
            return member.id
        if sum(other.label == member.label for other in members) == 1:
            return member.label
        place = next(i for i, other in enumerate(members) if other is member)
        return f"{member.id} (providers[{place}])"

    def with_notices(self, chunk: Chunk, member: Provider) -> Chunk:
        """Return a chunk; if it's the End, add the notices."""
        if chunk.kind == "delta" or not self.errors:
            return chunk
        return replace(chunk, notices=[*self.notices(member), *chunk.notices])

    def final_error(self) -> ProviderError:
        """Return the error if no member answered: the last one, with the others in its text."""
        *others, (_, last) = self.errors
        if others:
            text = "; ".join(f"{member.id}: {type(error).__name__}" for member, error in others)
            last.args = (f"{last.args[0] if last.args else ''} (the others failed before: {text})",)
        return last


def _text(error: ProviderError) -> str:
    return f"{type(error).__name__}: {error.args[0] if error.args else ''}"


def _price(member: Provider) -> float:
    """Return the price of a million tokens in and out; unknown prices come last."""
    capabilities = member.capabilities
    if capabilities.usd_per_input_mtok is None or capabilities.usd_per_output_mtok is None:
        return float("inf")
    return capabilities.usd_per_input_mtok + capabilities.usd_per_output_mtok


def _check_members(providers: object) -> list[Provider]:
    is_list = isinstance(providers, (list, tuple))
    members = [*cast("Sequence[Any]", providers)] if is_list else []
    if not members:
        kind = "an empty list" if is_list else f"{kind_of(providers)}"
        raise ConfigurationError(f"fallback: providers must be a list of at least one provider, not {kind}")
    for i, member in enumerate(members):
        if not isinstance(member, Provider):
            raise ConfigurationError(
                f"fallback: providers[{i}] is {kind_of(member)}, not a provider: use tako.get_provider(…)"
            )
    return members


def _make_provider(spec: Any) -> Provider:
    if isinstance(spec, Provider):
        return spec
    if isinstance(spec, dict):
        return get_provider(str(spec.get("id", "")), **spec.get("options", {}))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - a table
    return get_provider(spec)
