"""Providers behind HTTP: options, headers, connections, and one way to send."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, Unpack

from msgspec.structs import replace

from tako.direct_calls import event_loop, is_direct
from tako.errors import ProviderError
from tako.kit.billing import bill
from tako.kit.body import ACCEPTED, read_body, read_start
from tako.kit.checks import check_option_names, check_text, check_transport_options
from tako.kit.failures import Facts, make_error, name_request, read_facts
from tako.kit.headers import checked, hiding
from tako.kit.keys import Secret, scrub, with_key_source
from tako.kit.loops import BLOCKING, is_closed, loop_key
from tako.kit.proxy import Proxies, read_proxy
from tako.kit.reasoning_tags import read_tags
from tako.kit.single_flight import SingleFlight
from tako.kit.transport_errors import PROXY_LOGIN, login_refused
from tako.kit.wire import AROUND, PIECE, HttpHeaders, HttpReply, HttpRequest, Transport
from tako.provider import Provider
from tako.state import Origin
from tako.translator import PartContext
from tako.url_prefetch import UrlPrefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tako.capabilities import Capabilities
    from tako.errors import BadRequestError
    from tako.keywords import RequestOptions
    from tako.kit.exchange import Exchange
    from tako.kit.file_limits import Limit
    from tako.kit.wire import Body
    from tako.parts import Part
    from tako.types import ChatRequest, ChatResponse, Cost, End

MIB = 1024 * 1024
USER_AGENT = "tako/0.1"


class TransportOptions(TypedDict, total=False):
    """The options that say how requests travel.

    Attributes:
        timeout: The longest silence between bytes, in seconds.
        connect_timeout: The most time for a new connection, in seconds.
        deadline: The most time for a whole call with its retries, in seconds.
        max_retries: Calls after the first one.
        idempotency_header: A header by which the server recognises a request that is sent again.
        http_client: Your own ``httpx.AsyncClient``, or an object like it. You close it.
        transport: Your own ``httpx.AsyncBaseTransport``. You close it.
        proxy: The URL of an HTTP proxy.
        trust_env: Whether proxies come from the environment.
        max_connections: The most connections of one event loop. 0 means no limit.
        max_event_bytes: The largest event of a stream, before and after decompression.
        max_reply_bytes: The largest reply, before and after decompression.
    """

    timeout: float
    connect_timeout: float
    deadline: float | None
    max_retries: int
    idempotency_header: str | None
    http_client: Any
    transport: Any
    proxy: str | None
    trust_env: bool
    max_connections: int
    max_event_bytes: int
    max_reply_bytes: int


class HttpOptions(TransportOptions, total=False):
    """The options that all HTTP providers share.

    Attributes:
        headers: HTTP headers for every request, over tako's own.
        capabilities: Replaces everything that tako looked up about the model.
        defaults: Request fields that calls leave open, such as ``{"temperature": 0}``.
        base_model: The model behind a name that doesn't say it. Its rules and capabilities hold.
        reasoning_tags: Tags between which a server leaves reasoning in the text, such as "think", or two texts.
    """

    headers: Mapping[str, str]
    capabilities: Capabilities | None
    defaults: RequestOptions
    reasoning_tags: str | Sequence[str] | None
    base_model: str | None


class FetchOptions(HttpOptions, total=False):
    """The options of HTTP providers that fetch files.

    Attributes:
        url_prefetch: Whether tako fetches images and files that the vendor can't: True, False, or a UrlPrefetch.
    """

    url_prefetch: bool | UrlPrefetch


class CallOptions(TypedDict, total=False):
    """What may be said of one request.

    ``headers`` win over the provider's own, ``timeout`` (None is for "not given") over its longest silence in seconds.
    """

    headers: Mapping[str, str]
    method: str
    timeout: float | None


class TransportArguments(TypedDict):
    """The arguments of tako's own transports."""

    max_connections: int
    proxies: Proxies


class HttpProvider(Provider):
    """A provider whose vendor has an HTTP API. A plugin's class takes ``**options: Unpack[HttpOptions]``."""

    default_timeout: ClassVar[float] = 120.0
    codes: ClassVar[Mapping[str, type[ProviderError]]] = {}
    """The vendor's own error codes; the ones that several share are known."""
    server: str = ""
    """Scheme, host and port of the server (``server_of``); "" if all of its servers take each other's state."""

    def __init__(self, model: str, **options: Unpack[FetchOptions]) -> None:
        super().__init__(model, capabilities=options.get("capabilities"), deadline=options.get("deadline"))
        check_option_names(options, FetchOptions.__annotations__, self)
        check_transport_options(options, self.id)
        self.timeout = float(options.get("timeout", self.default_timeout))
        self.connect_timeout = float(options.get("connect_timeout", 10.0))
        self.max_retries = options.get("max_retries", 2)
        self.idempotency_header = options.get("idempotency_header", self.idempotency_header)
        if self.idempotency_header is not None:
            list(checked({self.idempotency_header: "key"}, f"{self.id}: idempotency_header", of_request=True))
        self.max_event_bytes = options.get("max_event_bytes", 16 * MIB)
        self.max_reply_bytes = options.get("max_reply_bytes", 64 * MIB)
        self.base_model = options.get("base_model")
        check_text(self.base_model, "base_model", self.id)
        self.reasoning_tags = read_tags(options.get("reasoning_tags"), self.id)
        self.url_prefetch = UrlPrefetch.of(options.get("url_prefetch"))
        self.secrets: list[Secret] = []
        self._http_client = options.get("http_client")
        self._transport = options.get("transport")
        proxy = read_proxy(options.get("proxy"), self.id)
        self._transport_arguments = TransportArguments(
            max_connections=options.get("max_connections", 0),
            proxies=Proxies(proxy, trust_env=options.get("trust_env", False)),
        )
        self._headers: dict[str, str | Secret] = {}
        self._header_texts: HttpHeaders | None = None
        self.add_headers({"content-type": "application/json", "accept-encoding": ACCEPTED, "user-agent": USER_AGENT})
        self._user_headers: dict[str, str | Secret] = {}
        self.add_headers(options.get("headers", {}), last=True)
        self._transports: dict[Any, Transport] = {}  # by event loop
        self._lock = threading.Lock()

    def add_headers(self, headers: Mapping[str, str | Secret], *, last: bool = False) -> None:
        """Set headers that go with every request; ``last`` ones, the user's, win over all others.

        Raises ConfigurationError on what HTTP cannot carry.
        """
        table = self._user_headers if last else self._headers
        for name, value in checked(headers, self.id):
            if isinstance(value, Secret):
                self.secrets.append(value)
            table[name] = value
        self._header_texts = None

    @property
    def _all_headers(self) -> HttpHeaders:
        """All headers as text, in a dict that does not show them."""
        if self._header_texts is None:
            headers = {**self._headers, **self._user_headers}
            self._header_texts = HttpHeaders(
                {name: value.reveal() if isinstance(value, Secret) else value for name, value in headers.items()}
            )
        return self._header_texts

    def context(self, request: ChatRequest) -> PartContext:
        """Return the context that one request is encoded and its reply decoded in."""
        origin = Origin(self.name, request.model or self.model, self.server)
        context = PartContext(origin, request, partial(self.accepts, origin), fetches=self.url_prefetch is not None)
        context.known_as = self.named(origin.model)
        return context

    def named(self, model: str) -> str:
        """Return the name whose rules hold for a model: ``base_model`` for the provider's own, if it's given."""
        return self.base_model if self.base_model is not None and model == self.model else model

    def accepts(self, own: Origin, part: Part, origin: Origin) -> bool:
        """Whether ``own``, the origin of this request, accepts the state that ``origin`` made. By default only its own.

        Override it where the vendor takes a sibling's, and say where the vendor says so.
        """
        return origin.matches(own)

    def cost(self, answer: ChatResponse | End, request: ChatRequest) -> Cost | None:
        """Return what an answer costs by what its reply says of itself (``tako.kit.billing``)."""
        return bill(self.priced(request), answer.usage, answer.raw, request)

    def limits_for(self, model: str) -> Sequence[Limit]:
        """Return what the vendor is known to take of files with a request to that model; files over it are noted."""
        return ()

    def second_try(self, exchange: Exchange, error: BadRequestError) -> Exchange | None:
        """Return what to send once instead of a request that the vendor refused, None to raise the refusal.

        Override it where the vendor says what to do.
        """
        return None

    def call(self, request: ChatRequest, headers: Mapping[str, str]) -> CallOptions:
        """Return how one request is sent: with these headers, and with its own, which win, and its own timeout.

        Raises ConfigurationError on what HTTP cannot carry.
        """
        request_headers = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in (checked(request.headers, self.id, of_request=True) if request.headers else ())
        }
        return CallOptions(
            headers={**headers, **request_headers} if request_headers else headers, timeout=request.timeout
        )

    async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return headers that depend on the request or the time, as signatures and short-lived tokens do."""
        return {}

    def error_facts(self, reply: HttpReply, body: bytes) -> Facts:
        """Read what the vendor says of a failure; override where it says it in headers."""
        return read_facts(body)

    async def send(self, url: str, body: Body, **call: Unpack[CallOptions]) -> HttpReply:
        """Send a request, and return its reply, whose status is 200 and which is still to be read and closed.

        Raises the error that any other status stands for, or a TransportError. Override it to send otherwise, or again.
        """
        method, timeout = call.get("method", "POST"), call.get("timeout") or self.timeout
        try:
            auth_headers = await self.authorize(method, url, body if isinstance(body, bytes) else b"")
            own_headers = {**auth_headers, **call.get("headers", {})}
            headers = HttpHeaders({**self._all_headers, **own_headers})
            transport = await self._loop_transport(body)
            for wrap in AROUND:
                transport = wrap(transport, self)
            reply = await transport.send(
                HttpRequest(method, url, headers, body, timeout, self.connect_timeout, bool(own_headers))
            )
            if 200 <= reply.status < 300:  # noqa: PLR2004 - RFC 9110
                return reply
            try:
                raise await self._refusal(reply, url, timeout)
            finally:
                await reply.aclose()
        except Exception as error:
            scrub(error, self.hiding(call.get("headers")))
            raise

    async def fetch(self, url: str, body: Body, **call: Unpack[CallOptions]) -> tuple[HttpReply, bytes]:
        """Send a request and read the whole reply, of status 200; raises as ``send`` does."""
        try:
            reply = await self.send(url, body, **call)
            try:
                return reply, await read_body(reply, self.max_reply_bytes, call.get("timeout") or self.timeout)
            except ProviderError as error:
                name_request(error, reply.headers)
                raise
            finally:
                await reply.aclose()
        except BaseException as error:  # noqa: BLE001 - its frames hold the reply, which may repeat the key
            failure = error.with_traceback(None)
        if isinstance(failure, ProviderError):
            scrub(failure, self.hiding(call.get("headers")))
        raise failure

    def failure(self, facts: Facts, *, status: int | None = None, body: str = "") -> ProviderError:
        """Make the error for what a vendor reports inside a reply of status 200."""
        error = make_error(self._without_secrets(facts), codes=self.codes, status=status, headers={}, body=body)
        error.body = self.hide(error.body or "") or None
        return with_key_source(error, self.secrets)

    def hide(self, text: str) -> str:
        """Take all secrets out of a text."""
        for secret in (*self.secrets, *self._transport_arguments["proxies"].secrets):
            text = secret.hide(text)
        return text

    def hiding(self, headers: Mapping[str, str] | None) -> Callable[[str], str]:
        """Return what takes all secrets out of a text, those among the headers of one request too."""
        return hiding(headers, self.hide)

    async def aclose(self) -> None:
        """Close the connections that belong to the running event loop, and those of blocking calls."""
        with self._lock:
            transports = [self._transports.pop(key, None) for key in (loop_key(), BLOCKING)]
        for transport in transports:
            if transport is not None:
                await transport.aclose()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a process: connections, locks, bound functions, and the text of keys."""
        state = super().__getstate__()
        for name in ("_transports", "_lock", "_header_texts"):
            state.pop(name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        new_state: dict[str, Any] = {"_transports": {}, "_lock": threading.Lock()}
        self.__dict__.update(state, _handlers=None, _header_texts=None, **new_state)

    def _without_secrets(self, facts: Facts) -> Facts:
        return replace(facts, message=self.hide(facts.message))

    async def _refusal(self, reply: HttpReply, url: str, patience: float) -> ProviderError:
        if reply.status == PROXY_LOGIN:
            return login_refused(self._transport_arguments["proxies"](url))
        body = await read_start(reply, MIB, patience)
        facts = self._without_secrets(self.error_facts(reply, body))
        if 300 <= reply.status < 400:  # noqa: PLR2004 - RFC 9110
            facts = Facts("the server redirects elsewhere, and tako doesn't follow redirects; correct the base URL")
        text = self.hide(body[: 2 * 4096].decode("utf-8", "replace"))
        error = make_error(facts, codes=self.codes, status=reply.status, headers=reply.headers, body=text)
        return with_key_source(error, self.secrets)

    @property
    def _is_custom(self) -> bool:
        """Whether requests don't travel through tako's own transport."""
        own = type(self).make_transport is HttpProvider.make_transport
        return not own or self._http_client is not None or self._transport is not None

    def _moves_to_loop(self, body: Body) -> bool:
        """Whether a blocking call can't send this without an event loop."""
        options = self._transport_arguments
        is_limited = options["max_connections"] or options["proxies"].may_apply
        return bool(self._is_custom or is_limited or AROUND or len(body) > PIECE)

    async def _loop_transport(self, body: Body) -> Transport:
        """Return the transport of the running event loop, or of blocking calls; connections never cross loops."""
        key = loop_key()
        if key is BLOCKING and self._moves_to_loop(body):
            await event_loop()
            key = loop_key()
        transport = self._transports.get(key)
        if transport is None:
            if not self._is_custom and isinstance(key, asyncio.AbstractEventLoop) and not _TRANSPORT_IMPORTED.is_set():
                await _TRANSPORT_IMPORT.result()
            transport = self._transports.get(key) or await self.make_transport()
            with self._lock:
                transport = self._transports.setdefault(key, transport)
                for ended in [loop for loop in self._transports if loop is not key and is_closed(loop)]:
                    del self._transports[ended]
        return transport

    async def make_transport(self) -> Transport:
        """Return what sends requests on the running event loop. Override it if your bytes don't travel over HTTP."""
        if self._http_client is not None:
            from tako.kit.httpx_transport import ClientTransport

            return ClientTransport(self._http_client)
        if is_direct():
            from tako.kit.blocking_transport import BlockingTransport

            return BlockingTransport(self._transport_arguments["proxies"])
        if self._transport is not None or not isinstance(loop_key(), asyncio.AbstractEventLoop):
            from tako.kit.httpx_transport import HttpxTransport

            return HttpxTransport(self._transport, **self._transport_arguments)
        from tako.kit.asyncio_transport import AsyncioTransport

        return await AsyncioTransport(**self._transport_arguments).start()


def _import_transport() -> None:
    """Import the transport, which takes as long as many calls do, and read the roots of TLS."""
    with suppress(Exception):  # the next import raises it
        import_module("tako.kit.asyncio_transport")
        import_module("tako.kit.tls").tls_context()
    _TRANSPORT_IMPORTED.set()


_TRANSPORT_IMPORTED = threading.Event()
_TRANSPORT_IMPORT = SingleFlight(_import_transport)
