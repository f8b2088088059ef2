"""Errors of requests without a complete reply: the same texts for every HTTP library.

Each error is one line without a password and without the library's own terms. Its cause is at most an error of the
standard library, which holds neither headers nor URLs.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from tako.errors import ProviderTimeoutError, TransportError

if TYPE_CHECKING:
    from tako.kit.proxy import Proxy
    from tako.kit.wire import HttpRequest

CLOSED = "the server closed it"
INCOMPLETE = "the reply is incomplete"
UNKNOWN_CLIENT = "the server wants a client certificate, or a different one; give a transport= that has it"
PROXY_LOGIN = 407
NOT_TLS_REASONS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL calls an answer that is no TLS."""
UNKNOWN_AUTHORITY = (18, 19, 20, 21)
"""OpenSSL's codes of certificates that nobody vouches for (X509_V_ERR_…)."""

T = TypeVar("T", bound=TransportError)


class Route:
    """Where a request goes, as errors name it."""

    def __init__(self, url: str, proxy: Proxy | None, timeout: float, connect_timeout: float) -> None:
        self.host = urlsplit(url).netloc.rpartition("@")[2]
        self.proxy = proxy
        self.destination = f"{self.host} through the proxy {proxy.address}" if proxy else self.host
        self._timeout = f"timeout={timeout:g} s"
        self._connect_timeout = f"connect_timeout={connect_timeout:g} s"

    @classmethod
    def of(cls, request: HttpRequest, proxy: Proxy | None) -> Self:
        """Return the route of a request."""
        return cls(request.url, proxy, request.timeout, request.connect_timeout)

    def is_proxy(self, host: str, port: int | None) -> bool:
        """Whether an address is the proxy's."""
        address = urlsplit(self.proxy.address) if self.proxy else None
        return address is not None and (address.hostname, address.port) == (host, port)

    def slow_connect(self) -> ProviderTimeoutError:
        """No connection in time."""
        text = f"connecting to {self.destination} took longer than {self._connect_timeout}"
        return advised(ProviderTimeoutError(text), "check the address, or raise connect_timeout=")

    def no_answer(self) -> ProviderTimeoutError:
        """No byte in time."""
        text = f"nothing came from {self.destination} for {self._timeout}"
        return advised(ProviderTimeoutError(text), "try again later, or raise timeout=")

    def unknown_host(self) -> TransportError:
        """The name has no address."""
        if self.proxy:
            return advised(TransportError(f"the host of the proxy {self.proxy.address} can't be found"), "check proxy=")
        return advised(TransportError(f"the host {self.host} can't be found"), "check the base URL")

    def unreachable(self, reason: str) -> TransportError:
        """No connection."""
        address = f"the proxy {self.proxy.address}" if self.proxy else self.host
        reason = "it closed the connection" if reason == CLOSED else reason
        advice = "check proxy=" if self.proxy else "check the address, and that the server runs"
        return advised(TransportError(f"can't connect to {address}: {reason}"), advice)

    def tunnel_refused(self, status: int | None) -> TransportError:
        """The proxy doesn't connect us."""
        if status is None:
            return self.unreachable("its answer can't be read as HTTP")
        if status == PROXY_LOGIN:
            return login_refused(self.proxy)
        address = self.proxy.address if self.proxy else "in between"
        error = TransportError(f"the proxy {address} refused to connect to {self.host}", status_code=status)
        return error if status >= 500 else not_retryable(error)  # noqa: PLR2004 - RFC 9110

    def tls_failed(self, problem: ssl.SSLError, *, at_proxy: bool = False) -> TransportError:
        """The handshake failed."""
        host = f"the proxy {self.proxy.address}" if self.proxy and at_proxy else self.destination
        if isinstance(problem, ssl.SSLCertVerificationError):
            text = f"TLS with {host} failed: the certificate isn't accepted: {problem.verify_message}"
            is_unknown = problem.verify_code in UNKNOWN_AUTHORITY
            advice = "if you trust it, name its authority's file in SSL_CERT_FILE" if is_unknown else ""
            return not_retryable(advised(TransportError(text), advice))
        reason = problem.reason or ""
        if reason in NOT_TLS_REASONS:
            return not_retryable(TransportError(f"TLS with {host} failed: the server speaks something else there"))
        error = TransportError(f"TLS with {host} failed: {reason.lower().replace('_', ' ') or 'the connection broke'}")
        return not_retryable(error) if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason else error

    def broken(self, reason: str) -> TransportError:
        """The connection ended too early."""
        error = TransportError(f"the connection to {self.destination} broke: {reason}")
        return not_retryable(error) if reason == UNKNOWN_CLIENT else error

    def not_http(self) -> TransportError:
        """What came cannot be read as HTTP."""
        return self.broken("the server's answer can't be read as HTTP")

    def unusable(self, reason: str) -> TransportError:
        """The request cannot be sent at all."""
        return not_retryable(TransportError(f"can't send to {self.host}: {reason}"))


def login_refused(proxy: Proxy | None) -> TransportError:
    """The proxy wants a login, or another one."""
    address = proxy.address if proxy else "in between"
    error = TransportError(f"the proxy {address} wants a login", status_code=PROXY_LOGIN)
    return not_retryable(advised(error, "check the user and the password in proxy="))


def not_retryable(error: T) -> T:
    """Mark a failure that is the same a second later."""
    error.retryable = False
    return error


def advised(error: T, advice: str) -> T:
    """Give an error what the user can do."""
    error.advice = advice
    return error


def describe_os_error(error: BaseException) -> str:
    """Say what the system says of a connection, without what libraries add."""
    number = getattr(error, "errno", None)
    text = str(error)
    if isinstance(error, ssl.SSLError) or "[SSL" in text:
        return UNKNOWN_CLIENT if "CERTIFICATE" in text else "its TLS broke"
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return "none of its addresses answers" if "Multiple exceptions" in text else CLOSED


def without_context(error: BaseException, failure: TransportError) -> BaseException:
    """Return an error of the standard library to be the cause of ``made``, without what the original drags along."""
    if isinstance(error, ssl.SSLError) and type(error).__module__ == "ssl":
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return error
    if isinstance(failure, ProviderTimeoutError):
        return TimeoutError()
    number = getattr(error, "errno", None)
    return OSError(number, os.strerror(number)) if isinstance(number, int) and number > 0 else ConnectionError()
