"""The pool of connections under the default transport: what ends with it, and which connections may be used again."""

from __future__ import annotations

import asyncio
import select
import weakref
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import aiohttp

from tako.kit.habits import Habits
from tako.kit.tls import trusted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tako.kit.habits import Kind

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept."""
HEADER_LIMIT = 64 * 1024
"""Bytes of one header line; aiohttp's own 8 KB refuses replies that vendors do send."""

Lines = weakref.WeakKeyDictionary[Any, "Line"]
"""What is known of connections, by aiohttp's object for each."""


class Connector(aiohttp.TCPConnector):
    """Connections that close without anyone having to wait for it, and kept ones that are looked at before use."""

    is_usable: Callable[[asyncio.Transport], Awaitable[bool]]
    """Waits until a connection shows whether the server has kept it."""

    async def connect(self, *request: Any, **options: Any) -> Any:
        """Return a connection; a kept one is looked at first: aiohttp takes what lies on it for an answer."""
        while True:
            connection: Any = await super().connect(*request, **options)
            try:
                if await self.is_usable(connection.transport):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()

    def __del__(self, *_: Any) -> None:
        """Say nothing, where aiohttp complains to the event loop: the sockets close by themselves."""

    def drop(self) -> None:
        """Close all connections, on their loop or once it is closed."""
        for closed in self._close():
            if isinstance(closed, asyncio.Future):
                closed.add_done_callback(_heard)


class Pool:
    """A session of aiohttp's on one event loop, without the session's comforts."""

    def __init__(self) -> None:
        self._lines: Lines = weakref.WeakKeyDictionary()
        self.habits = Habits()
        self._connector = Connector(
            limit=0, ssl=trusted(), keepalive_timeout=KEEP_ALIVE, resolver=aiohttp.ThreadedResolver()
        )
        self._connector.is_usable = partial(_is_usable, self._lines, self.habits)  # not a method: the pool is let go
        self.session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=HEADER_LIMIT,
            max_field_size=HEADER_LIMIT,
        )
        self._lifetime = _until_the_loop_ends(self.session, self._lines)

    async def start(self) -> None:
        """Tie the pool to the running loop: it closes with `aclose`, with the loop, or when nobody holds it."""
        await anext(self._lifetime)
        loop = asyncio.get_running_loop()
        weakref.finalize(self, _forget, loop, self.session, self._connector, self._lifetime)

    async def aclose(self) -> None:
        """Close all connections, and wait until they are closed."""
        await self._lifetime.aclose()

    def line(self, transport: asyncio.Transport) -> Line:
        """Return what is known of a connection."""
        connection = transport.get_protocol()
        line = self._lines.get(connection)
        if line is None:
            line = self._lines[connection] = Line(transport)
        return line


class Line:
    """One connection, and the reply that it carried last."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.kind: Kind | None = None
        """Of the last reply; None where there was none."""
        self.since = 0.0
        """When the last reply ended."""
        self.reply: Callable[[], aiohttp.ClientResponse | None] = _nothing
        """The last reply, if somebody still reads it."""
        self._look = _looking_at(transport.get_extra_info("socket").fileno())
        connection: Any = transport.get_protocol()
        if connection.closed is not None:
            connection.closed.add_done_callback(self._lost)

    def rest(self) -> None:
        """Note the end of a reply."""
        self.since = monotonic()

    def has_ended(self, connection: Any) -> bool:
        """Whether a kept connection cannot be used again, although the event loop may not have seen why.

        A server has nothing to say on an idle connection: what there is to read is its end, or out of place.
        """
        return bool(self._look()) or connection.should_close

    def _lost(self, closed: asyncio.Future[Any]) -> None:
        """Tell who reads a body that it ends here: aiohttp forgets to, if what came made no sense."""
        _heard(closed)
        reply = self.reply()
        if reply is not None and not reply.content.is_eof() and reply.content.exception() is None:
            reply.content.set_exception(aiohttp.ClientPayloadError())


async def _is_usable(lines: Lines, habits: Habits, transport: asyncio.Transport | None) -> bool:
    if transport is None:
        return False
    line = lines.get(transport.get_protocol())
    if line is None or line.kind is None:
        return True
    if line.kind not in habits.kept_after:
        await asyncio.sleep(max(0.0, habits.pause(line.since, line.kind)))
    if not line.has_ended(transport.get_protocol()):
        return True
    habits.learn(line.kind, kept=False)
    return False


def _looking_at(place: int) -> Callable[[], Any]:
    """Return what asks the system, without waiting, whether there is something to read."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([place], [], [], 0)[0]
    poll = select.poll()
    poll.register(place, select.POLLIN)
    return partial(poll.poll, 0)


def _nothing() -> None:
    """Stand for a reply that isn't there."""


async def _until_the_loop_ends(session: aiohttp.ClientSession, lines: Lines) -> AsyncGenerator[None, None]:
    """Close a pool when asyncio shuts its generators down, so that nobody has to remember `aclose`."""
    try:
        yield
    finally:
        for transport in [connection.transport for connection in lines]:
            if transport is not None and transport.get_write_buffer_size():
                transport.abort()  # closing would wait until the server takes what is left
        await session.close()


def _forget(
    loop: asyncio.AbstractEventLoop,
    session: aiohttp.ClientSession,
    connector: Connector,
    lifetime: AsyncGenerator[None, None],
) -> None:
    """Close a pool that nobody holds any more, in whichever thread; a task for it might outlive the loop."""
    session.detach()  # else it complains to the loop
    with suppress(StopIteration, RuntimeError):
        lifetime.aclose().send(None)  # a session without connector has nothing to wait for
    if loop.is_closed():
        connector.drop()
    else:
        with suppress(RuntimeError):  # closed in the meantime
            loop.call_soon_threadsafe(connector.drop)


def _heard(closed: asyncio.Future[Any]) -> None:
    """Look at how a connection closed, so that nobody complains that no one did."""
    if not closed.cancelled():
        closed.exception()
