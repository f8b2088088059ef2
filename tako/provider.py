"""The object that an application holds."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, Unpack, overload

from tako.builtin import BUILT_IN, OUTERMOST
from tako.capabilities import Capabilities
from tako.constructors import wrap_init
from tako.errors import ConfigurationError, UnsupportedError, kind_of, short_repr
from tako.form_hints import wrong_form
from tako.handlers import Handlers, bind
from tako.hooks import PLUGINS, Hooks, NamedPlugins
from tako.hooks.counting import after_plugins, count_after_plugins
from tako.hooks.nested_calls import ACTIVE_CALL, outer_call
from tako.hooks.plugins import refuse_unseen_files
from tako.hooks.provider_classes import hooks_module
from tako.keywords import apply_options, read_defaults
from tako.provenance import trace_origins
from tako.request import SECONDS, as_request, is_model_name, is_seconds
from tako.stream import ChatStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Mapping
    from types import TracebackType

    from tako.blocking import Blocking
    from tako.files import FilePath
    from tako.keywords import Prompt, RequestOptions
    from tako.listing import ModelInfo, TokenCount
    from tako.parts import FileIdPart
    from tako.run_loop import Approve
    from tako.runs import Run
    from tako.translator import Translator
    from tako.typed import TypedStream
    from tako.types import ChatRequest, ChatResponse, Chunk, Cost, End

T = TypeVar("T")


class Provider:
    """A model behind one vendor's API.

    A plugin subclasses it in the module that implements the hooks for it. ``name`` is the id's prefix, as the entry
    point has it. ``max_retries`` counts the calls after the first, for errors that are ``retryable``. ``deadline`` is
    the time in seconds that a whole call has with its retries. ``idempotency_header`` is the header by which the vendor
    tells a request that is sent again, if it takes one: each call gets a key, which its retries keep. ``defaults`` are
    the values of request fields that a call leaves open, as in ``{"temperature": 0}``.
    """

    name: ClassVar[str] = "provider"
    max_retries: int = 2
    deadline: float | None = None
    idempotency_header: str | None = None
    needs_event_loop: ClassVar[bool] = True
    """Whether the provider's own functions may use asyncio. If not, blocking calls are faster.

    A subclass has to say it again.
    """
    defaults: Mapping[str, Any] = MappingProxyType({})
    options_of_providers: ClassVar[frozenset[str]] = frozenset()
    """Options that are lists of providers; a file names others of its own there."""
    _label: str = ""

    def __init__(
        self,
        model: str,
        *,
        capabilities: Capabilities | None = None,
        defaults: RequestOptions | None = None,
        deadline: float | None = None,
    ) -> None:
        if not is_model_name(model):
            raise ConfigurationError(f"{self.name}: model is a name, not {short_repr(model)}")
        if capabilities is not None and not isinstance(capabilities, Capabilities):
            kind = kind_of(capabilities)
            raise ConfigurationError(f"{self.name}:{model}: capabilities is a tako.Capabilities, not {kind}")
        if deadline is not None:
            if not is_seconds(deadline):
                raise ConfigurationError(f"{self.name}:{model}: deadline is {SECONDS}, not {short_repr(deadline)}")
            self.deadline = deadline
        self.model = model
        self._user_capabilities = capabilities
        self._handlers: Handlers | None = None
        self._capabilities: tuple[Hooks, Capabilities] | None = None
        self._origins: tuple[Hooks, dict[str, str]] | None = None
        if defaults is not None:
            self.defaults = read_defaults(defaults, self)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.needs_event_loop = vars(cls).get("needs_event_loop", True)
        if "__init__" in vars(cls):
            setattr(cls, "__init__", wrap_init(cls.__init__))  # noqa: B010 - a plain assignment is refused by mypy
        if "count" in vars(cls):
            setattr(cls, "count", after_plugins(cls.count))  # noqa: B010 - as above
        for name in ("upload", "upload_file"):
            if name in vars(cls):
                setattr(cls, name, refuse_unseen_files(getattr(cls, name)))
        if cls.name == "provider":
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def from_id(cls, model: str, **options: Any) -> Self:
        """Make one from the part of an id that follows the colon; ``get_provider`` calls this."""
        return cls(model, **options) if model else cls(**options)

    @classmethod
    def own_plugins(cls) -> dict[str, NamedPlugins]:
        """List what every provider of this class has: the modules with its hooks and its bases', and the built-ins."""
        chain = [base for base in reversed(cls.__mro__) if issubclass(base, Provider) and base is not Provider]
        modules = {module.__name__: module for module in map(hooks_module, chain)}
        inner = [(f"provider {name}", module) for name, module in modules.items()]
        return {"inner": inner, "built_in": BUILT_IN, "outermost": OUTERMOST}

    @property
    def id(self) -> str:
        """The name and the model: ``openai:gpt-6.2-sol``."""
        return f"{self.name}:{self.model}"

    @property
    def label(self) -> str:
        """What the program calls it: its name in tako.toml, or the option ``label``; else its id."""
        return self._label or self.id

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise ConfigurationError(f"{self.id}: label is a str, not {short_repr(label)}")
        self._label = label

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @overload
    async def chat(self, request: Prompt, **options: Unpack[RequestOptions]) -> ChatResponse: ...
    @overload
    async def chat(
        self, request: Prompt, *, response_type: type[T], repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[T]: ...
    @overload  # a union or an Annotated, which isn't a type[T] to type checkers
    async def chat(
        self, request: Prompt, *, response_type: Any, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]: ...
    async def chat(
        self, request: Prompt, *, response_type: Any = None, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]:
        """Answer one request. Raises a TakoError.

        Keywords set fields of the request for this call. With ``response_type``, the response's ``parsed`` is a value
        of that type. A reply that doesn't fit is asked for again, ``repairs`` times, then it's an InvalidReplyError.
        """
        checked = self._checked_request(request, options) if options or self.defaults else as_request(request)
        if response_type is None:
            return await self._chat_checked(checked)
        from tako.typed import ask

        return await ask(self._chat_checked, checked, self, response_type, repairs)

    def _chat_checked(self, checked: ChatRequest) -> Awaitable[ChatResponse]:
        """Answer a request that is checked and has the provider's defaults."""
        handlers = self._current_handlers()
        chat = handlers.chat if ACTIVE_CALL.get() is None else handlers.for_nested_call(self, "chat")
        return chat(checked)

    @overload
    def stream(self, request: Prompt, **options: Unpack[RequestOptions]) -> ChatStream: ...
    @overload
    def stream(
        self, request: Prompt, *, response_type: type[T], **options: Unpack[RequestOptions]
    ) -> TypedStream[T]: ...
    @overload
    def stream(self, request: Prompt, *, response_type: Any, **options: Unpack[RequestOptions]) -> TypedStream[Any]: ...
    def stream(self, request: Prompt, *, response_type: Any = None, **options: Unpack[RequestOptions]) -> ChatStream:
        """Answer one request piece by piece; nothing is sent before the first chunk is asked for.

        With ``response_type``, the stream has ``partials``, and the response's ``parsed`` is a value of that type.
        """
        checked = self._checked_request(request, options)
        if response_type is None:
            return ChatStream(self._stream_checked, checked, self)
        from tako.typed import stream

        return stream(self._stream_checked, checked, self, response_type)

    def _stream_checked(self, checked: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream a request that is checked and has the provider's defaults."""
        handlers = self._current_handlers()
        stream = handlers.stream if ACTIVE_CALL.get() is None else handlers.for_nested_call(self, "stream")
        return stream(checked)

    @overload
    def run(
        self,
        request: Prompt,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> Run: ...
    @overload
    def run(
        self,
        request: Prompt,
        *,
        response_type: type[T],
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> Run[T]: ...
    @overload
    def run(
        self,
        request: Prompt,
        *,
        response_type: Any,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> Run[Any]: ...
    def run(
        self,
        request: Prompt,
        *,
        response_type: Any = None,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> Run[Any]:
        """Answer one request with the help of its ``tools``, which are functions: they're called, and asked again.

        ``await`` it, or iterate over its ``stream()``. ``max_rounds``: calls of the model. ``max_cost``: US dollars.
        ``approve(call)`` returns True, or what the model is told instead. With ``response_type``, the last reply is
        read into it, as in ``chat``. Raises RunLimitError at a limit.
        """
        from tako.run_loop import RunLoop
        from tako.runs import Run

        rounds = RunLoop(
            (self._chat_checked, self._stream_checked),
            self._checked_request(request, options),
            self,
            max_rounds=max_rounds,
            max_cost=max_cost,
            approve=approve,
            response_type=response_type,
            repairs=repairs,
        )
        return Run(rounds.events, self.id)

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do, as far as is known without asking the network."""
        if self._user_capabilities is not None:
            return self._user_capabilities
        cached = self._capabilities
        while cached is None or cached[0].stale:
            hooks = PLUGINS.hooks(type(self))
            self._capabilities = cached = hooks, PLUGINS.ask("tako_capabilities", self)
        return cached[1]

    def capability_origins(self) -> dict[str, str]:
        """Say who set each value of ``capabilities`` that is known; one that is missing here is an assumption."""
        hooks = PLUGINS.hooks(type(self))
        if self._origins is None or self._origins[0] is not hooks:
            self._origins = hooks, trace_origins(self, self._user_capabilities)
        return self._origins[1]

    def cost(self, answer: ChatResponse | End, request: ChatRequest) -> Cost | None:
        """Return what an answer of this provider's own costs; None if that isn't known.

        Override it if replies say more of it than their tokens. ``capabilities`` are those of the provider's model, so
        they don't price another one that a request names.
        """
        return self.priced(request).cost(answer.usage)

    @property
    def at_vendor(self) -> bool:
        """Whether the vendor itself is asked, not another server that has the vendor's models or speaks its wire."""
        return True

    def priced(self, request: ChatRequest) -> Capabilities:
        """Return the capabilities whose prices hold for a request."""
        return self.capabilities if request.model in (None, self.model) else Capabilities()

    async def discover(self) -> Capabilities:
        """Ask the server what the model can do, where it can tell, and remember the answer."""
        return self.capabilities

    async def list_models(self) -> list[ModelInfo]:
        """List the models that the vendor or the server has.

        Override it if there is such a list. Raises UnsupportedError if there is none, and ProviderError.
        """
        raise UnsupportedError(f"{self.id} can't list models: {self.name} has no list of them")

    async def count_tokens(self, request: Prompt, **options: Unpack[RequestOptions]) -> TokenCount:
        """Ask the vendor how many tokens a request has, without having it answered; see ``chat`` for the arguments.

        Plugins change or refuse the request first, as they do for ``chat``.

        Raises UnsupportedError if the vendor doesn't count, and ProviderError.
        """
        return await count_after_plugins(self, self._current_handlers().chat, self._checked_request(request, options))

    async def count(self, request: ChatRequest) -> TokenCount:
        """Count the tokens of a request as plugins left it. Override it if the vendor counts.

        If a program calls it, plugins come first, as for ``count_tokens``.
        """
        raise UnsupportedError(f"{self.id} can't count tokens: {self.name} has nothing that counts them")

    @property
    def translator(self) -> Translator:
        """What translates parts, with what plugins made of it."""
        return self._current_handlers().translator

    async def upload(self, path: FilePath, *, mime: str | None = None, name: str | None = None) -> FileIdPart:
        """Give a file to the vendor, who keeps it, and return the part that stands for it.

        Its type is told by its first bytes and its name unless you give it. The file is sent as it's read; again if the
        vendor refused it for its rate or its load. Raises OSError if it can't be read, UnsupportedError if the vendor
        keeps no files, and ProviderError. Plugins don't see the file, so it's a PluginError if one is required.
        """
        PLUGINS.refuse_unseen_file(self)
        return await self.upload_file(path, mime, name)

    async def upload_file(self, path: FilePath, mime: str | None, name: str | None) -> FileIdPart:
        """Upload a file. Override it if the vendor keeps files; call ``upload``."""
        raise UnsupportedError(f"{self.id}: the vendor keeps no files; send the file itself")

    async def delete(self, file: FileIdPart) -> None:
        """Delete a file that was uploaded. Raises as ``upload`` does."""
        raise UnsupportedError(f"{self.id}: the vendor keeps no files")

    def refresh(self) -> None:
        """Ask the hooks again at the next use; for providers that have learned something, as by ``discover``."""
        self._handlers = self._capabilities = self._origins = None

    @property
    def is_bound(self) -> bool:
        """Whether the hooks have been called, and no plugin has come or gone since."""
        return self._handlers is not None and not self._handlers.hooks.stale

    @property
    def is_direct(self) -> bool:
        """Whether a blocking chat begins in the calling thread, without an event loop (``tako.direct_calls``)."""
        return not self.needs_event_loop and not self._current_handlers().needs_event_loop

    @property
    def blocking(self) -> Blocking:
        """The same methods for code without an event loop."""
        from tako.blocking import Blocking

        return Blocking(self)

    async def aclose(self) -> None:
        """Close the connections of this provider; it may be used again, and opens new ones then."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:
        __enter__ = __exit__ = wrong_form("write `async with provider`, or `with provider.blocking`")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the plugins of this process made."""
        return {**self.__dict__, "_handlers": None, "_capabilities": None, "_origins": None}

    def _checked_request(self, request: Prompt, options: Mapping[str, Any]) -> ChatRequest:
        """Return the request that a caller means. A call from the provider's own code has its defaults already."""
        return apply_options(request, options, {} if outer_call(self) is not None else self.defaults, self.id)

    def _current_handlers(self) -> Handlers:
        """The bound hooks: bound on first use, and again when plugins changed."""
        handlers = self._handlers
        if handlers is None or handlers.hooks.stale:
            self._handlers = handlers = bind(self)
        return handlers
