"""Providers behind a program: each call starts it, writes the request to it, and reads what it answers.

::

    class Acme(ProcessProvider):
        name = "acme"
        command = ("acme", "--json")

The rest is what it is behind HTTP: ``chat_through`` and ``stream_through``, with ``""`` as the URL. The program gets
the body as one line on its standard input, which then ends. What it writes is the reply. An exit code other than 0
before the reply is complete is a TransportError with the last words of its standard error. A call that is cancelled, or
a stream that is left, kills it.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, TypedDict, Unpack

import anyio

from tako.errors import ConfigurationError, ProviderTimeoutError, TransportError
from tako.kit.http import HttpProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from anyio.abc import Process

    from tako.capabilities import Capabilities
    from tako.keywords import RequestOptions
    from tako.kit.wire import HttpRequest, Transport

SHOWN_LOG_BYTES = 500
"""Bytes of standard error that an error shows."""


class ProcessOptions(TypedDict, total=False):
    """The options that all providers behind a program share.

    ``timeout``: the longest silence, in seconds. ``deadline``: for a whole call with its retries, in seconds.
    ``max_retries``: calls after the first. ``max_event_bytes``, ``max_reply_bytes``: caps of one event and of a whole
    reply. ``capabilities`` and ``defaults``: as with every provider.
    """

    timeout: float
    deadline: float | None
    max_retries: int
    max_event_bytes: int
    max_reply_bytes: int
    capabilities: Capabilities | None
    defaults: RequestOptions


class ProcessProvider(HttpProvider):
    """A model behind a program. ``command``: the program and its arguments; an option of that name goes before it."""

    command: Sequence[str] = ()

    def __init__(self, model: str, *, command: Sequence[str] | None = None, **options: Unpack[ProcessOptions]) -> None:
        super().__init__(model, **options)
        program = list(self.command if command is None else command)
        if (
            not program
            or isinstance(command, (str, dict))
            or not all(isinstance(argument, str) for argument in program)
        ):
            raise ConfigurationError(f'{self.id}: command is a list of texts, as in ["acme", "--json"]')
        self.command = tuple(program)

    async def make_transport(self) -> Transport:
        """Return what starts the program."""
        return ProgramTransport(self.command)


class ProgramTransport:
    """The transport: a program for each request."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._start_lock = anyio.Lock()  # starting one takes milliseconds in which the event loop stands still

    async def send(self, request: HttpRequest) -> ProgramReply:
        """Start the program and write the body to it; raises ConfigurationError if it can't be started."""
        log = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it; a pipe that nobody reads would block
        try:
            async with self._start_lock:
                process = await anyio.open_process([*self._command], stderr=log)
        except BaseException as error:
            log.close()
            if not isinstance(error, OSError):
                raise
            raise ConfigurationError(
                f"the program {self._command[0]!r} can't be started: {error.strerror or error}"
            ) from error
        reply = ProgramReply(process, log, request.timeout)
        try:
            await reply.write(request.body[:])
        except BaseException:
            await reply.aclose()
            raise
        return reply

    async def aclose(self) -> None:
        """Close nothing: each program ends with its request."""


class ProgramReply:
    """What a program writes."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, process: Process, log: IO[bytes], timeout: float) -> None:
        self._process = process
        self._log = log
        self._timeout = timeout

    async def write(self, body: bytes) -> None:
        """Write a request; a program may answer, or end, without reading it."""
        stdin: Any = self._process.stdin
        try:
            with anyio.fail_after(self._timeout), suppress(anyio.BrokenResourceError, OSError):
                await stdin.send(body + b"\n")
                await stdin.aclose()
        except TimeoutError:
            raise ProviderTimeoutError(f"the program read nothing for timeout={self._timeout:g} s") from None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Iterate over what it writes; raises TransportError if it ends badly."""
        stdout: Any = self._process.stdout
        while True:
            try:
                with anyio.fail_after(self._timeout):
                    data = await stdout.receive()
            except TimeoutError:
                raise ProviderTimeoutError(f"the program wrote nothing for timeout={self._timeout:g} s") from None
            except anyio.EndOfStream:
                break
            yield data
        with anyio.move_on_after(self._timeout):
            await self._process.wait()
        if self._process.returncode:
            raise TransportError(f"the program ended with exit code {self._process.returncode}{self._log_end()}")

    async def aclose(self) -> None:
        """End the program, if it hasn't ended."""
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.aclose()
            self._log.close()

    def _log_end(self) -> str:
        size = self._log.seek(0, 2)
        self._log.seek(max(size - SHOWN_LOG_BYTES, 0))
        text = " ".join(self._log.read().decode("utf-8", "replace").split())
        return f": {text}" if text else ""
