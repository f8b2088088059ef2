"""The fetch itself: the deadline, the hops, the audit log, and one kind of error for whatever happens."""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING

import anyio
import httpcore

from tako.errors import ConfigurationError, UrlPrefetchError
from tako.kit.prefetch.network import GuardedBackend, Network
from tako.kit.prefetch.response import read_file, redirect_of
from tako.kit.prefetch.rules import Refusal
from tako.kit.prefetch.url import Url, follow, parse_url, shown_host
from tako.kit.tls import tls_context
from tako.media import IMAGE_TYPES, canonical_type
from tako.parts import FilePart, FileUrlPart, ImagePart, ImageUrlPart
from tako.url_prefetch import UrlPrefetch

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_REDIRECTS = 5
MAX_AT_ONCE = 8
"""Fetches of one request that run at the same time; each may hold 2 x max_bytes."""

FILE_TYPES = (
    *IMAGE_TYPES,
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/json",
    "text/csv",
    "text/html",
    "text/markdown",
    "text/plain",
    "audio/aac",
    "audio/flac",
    "audio/mp3",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "audio/x-wav",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
)
"""The types that a file may be declared as."""

_SYSTEM = Network()
_log = logging.getLogger("tako.prefetch")
_log.addHandler(logging.NullHandler())  # a program that has set up no logging hears of refusals by the error alone


async def fetch_image(url: str, policy: UrlPrefetch, *, network: Network = _SYSTEM) -> ImagePart:
    """Fetch one image, or raise UrlPrefetchError, whose ``rule`` and ``option`` say what refused and what would permit.

    Runs on asyncio and trio. Each hop is a record of the logger ``tako.prefetch`` (host, verdict, rule, milliseconds).
    ``network`` is for tests. The error holds nothing of the answer, no address that was resolved, and no cause: what
    the libraries underneath raise is full of both.
    """
    file = await _fetch(url, policy, IMAGE_TYPES, "image", network)
    return ImagePart(file.mime, file.data_b64)


async def fetch_file(
    url: str, policy: UrlPrefetch, mime: str | None = None, *, network: Network = _SYSTEM
) -> ImagePart | FilePart:
    """Fetch one image, document, text, audio or video, as ``fetch_image`` does.

    ``mime``: the type that it has to be declared as; None takes every type of ``FILE_TYPES``. The part has the declared
    type, with which the first bytes have to agree. Each kind has its own limit.
    """
    required_type = canonical_type(mime) if mime is not None else None
    types = [
        declared_type
        for declared_type in FILE_TYPES
        if required_type is None or canonical_type(declared_type) == required_type
    ]
    return await _fetch(url, policy, types, "file", network)


async def fetch_images(urls: Sequence[str], policy: UrlPrefetch, *, network: Network = _SYSTEM) -> list[ImagePart]:
    """Fetch the images of one request at the same time, each URL once; the list is in the order of ``urls``.

    The first refusal cancels the rest and is the UrlPrefetchError that is raised.
    """
    files = await fetch_files([ImageUrlPart(url) for url in urls], policy, network=network)
    return [ImagePart(image.mime, image.data_b64) for image in files]


async def fetch_files(
    parts: Sequence[ImageUrlPart | FileUrlPart], policy: UrlPrefetch, *, network: Network = _SYSTEM
) -> list[ImagePart | FilePart]:
    """Fetch images and files that parts name, as ``fetch_images`` does."""
    _check_policy(policy)
    fetched: dict[tuple[str, str | None], ImagePart | FilePart] = {}
    refused: list[UrlPrefetchError] = []
    limiter = anyio.CapacityLimiter(MAX_AT_ONCE)
    keys = [(part.url, part.mime if isinstance(part, FileUrlPart) else "image/*") for part in parts]

    async def fetch(url: str, mime: str | None) -> None:
        async with limiter:
            try:
                if mime == "image/*":
                    fetched[url, mime] = await fetch_image(url, policy, network=network)
                else:
                    fetched[url, mime] = await fetch_file(url, policy, mime, network=network)
            except UrlPrefetchError as error:
                refused.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for url, mime in dict.fromkeys(keys):
            group.start_soon(fetch, url, mime)
    if refused:
        raise refused[0]
    return [fetched[key] for key in keys]


async def _fetch(
    url: str, policy: UrlPrefetch, types: Collection[str], kind: str, network: Network
) -> ImagePart | FilePart:
    _check_policy(policy)
    trail = _Trail(url)
    outcome = await _outcome(url, policy, types, network, trail)
    if isinstance(outcome, Refusal):
        raise outcome.as_error(trail.requested_host, trail.hops, kind)
    return outcome


async def _outcome(
    url: str, policy: UrlPrefetch, types: Collection[str], network: Network, trail: _Trail
) -> ImagePart | FilePart | Refusal:
    """Return what became of it; a refusal is returned, so that no other exception is the context of the error."""
    try:
        with anyio.fail_after(policy.timeout):
            file = await _follow(parse_url(url), policy, types, network, trail)
    except Exception as error:  # noqa: BLE001 - whatever the libraries underneath raise may hold the answer
        refusal = _refusal(error, policy)
        trail.verdict("refused", refusal.rule)
        return refusal
    except BaseException:
        trail.verdict("cancelled", None)
        raise
    trail.verdict("fetched", None)
    return file


async def _follow(
    url: Url, policy: UrlPrefetch, types: Collection[str], network: Network, trail: _Trail
) -> ImagePart | FilePart:
    """Ask, and ask again where a redirect leads; every hop passes every rule."""
    while True:
        trail.host = str(url.host)
        answer = await _request(url, policy, types, network)
        if not isinstance(answer, bytes):
            return answer
        if trail.hops == MAX_REDIRECTS:
            raise Refusal("redirects", f"there are more than {MAX_REDIRECTS} redirects")
        url = follow(url, answer)
        trail.verdict("redirected", None)
        trail.hops += 1


async def _request(
    url: Url, policy: UrlPrefetch, types: Collection[str], network: Network
) -> ImagePart | FilePart | bytes:
    """Make one request on a connection of its own; return the file, or the Location of a redirect."""
    if url.scheme != "https" and not policy.allow_http:
        raise Refusal("http", "its URL isn't https", option="allow_http=True")
    backend = GuardedBackend(url.host, policy, network)
    parts = httpcore.URL(scheme=url.scheme, host=str(url.host), port=url.port, target=url.target)
    headers = [("Host", url.authority), ("Accept", ", ".join(types)), ("Accept-Encoding", "identity")]
    connection = httpcore.AsyncHTTPConnection(
        parts.origin,
        ssl_context=_tls() if url.scheme == "https" else None,
        http1=True,
        http2=False,
        network_backend=backend,
    )
    try:
        async with connection.stream("GET", parts, headers=headers) as response:
            location = redirect_of(response)
            return await read_file(response, policy, types, backend.aclose) if location is None else location
    finally:
        await backend.aclose()


def _tls() -> ssl.SSLContext:
    try:
        return tls_context()
    except OSError:  # SSLError is one
        raise Refusal("tls", "the certificates that SSL_CERT_FILE or SSL_CERT_DIR name can't be read") from None


def _refusal(error: Exception, policy: UrlPrefetch) -> Refusal:
    """Say what an exception means, in words of our own."""
    match error:
        case Refusal():
            return error
        case TimeoutError():
            message = f"it took longer than {policy.timeout:g} s"
            return Refusal("timeout", message, option="timeout", remedy="a longer timeout")
        case httpcore.ConnectError():  # TCP is dialled by GuardedBackend, which lets none out: what is left is TLS
            cause = error.__cause__
            reason = cause.verify_message.partition(",")[0] if isinstance(cause, ssl.SSLCertVerificationError) else ""
            return Refusal("tls", f"no TLS connection could be made{reason and f': {reason}'}")
        case httpcore.NetworkError() | OSError():
            return Refusal("connect", "the connection broke")
        case _:
            return Refusal("protocol", "the answer isn't valid HTTP")


def _check_policy(policy: object) -> None:
    if not isinstance(policy, UrlPrefetch):
        raise ConfigurationError(f"the policy of a fetch is a UrlPrefetch, not {type(policy).__name__}")


class _Trail:
    """Where a fetch is, for the audit log and the error. ``requested_host`` is the host of the caller's URL."""

    def __init__(self, url: object) -> None:
        self.requested_host = self.host = shown_host(url)
        self.hops = 0
        self._since = time.perf_counter()

    def verdict(self, verdict: str, rule: str | None) -> None:
        """Log the end of a hop, and begin the next."""
        now = time.perf_counter()
        milliseconds = round((now - self._since) * 1000, 1)
        self._since = now
        _log.log(
            logging.WARNING if verdict == "refused" else logging.INFO,
            "host=%s verdict=%s rule=%s milliseconds=%s",
            *(self.host, verdict, rule or "-", milliseconds),
            extra={"host": self.host, "verdict": verdict, "rule": rule, "milliseconds": milliseconds},
        )
