"""Proxies: the one that you give, or those of the environment. Errors show their addresses without passwords."""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct
from msgspec.structs import replace

from tako.environment import FromEnvironment
from tako.errors import ConfigurationError
from tako.kit.keep_alive import MAX_REMEMBERED
from tako.kit.keys import Secret
from tako.kit.wire import HttpHeaders

PORTS = {"http": 80, "https": 443}
EXPECTED = "an address like http://proxy.example:3128 is expected"


class Proxy(Struct, frozen=True):
    """An HTTP proxy. ``address`` may be shown; ``secrets`` are the value of Proxy-Authorization, and the password.

    In a pickle, one that an option names by its variable is that variable's name; a login given otherwise is left out.
    """

    address: str
    secrets: tuple[Secret, ...] = ()
    source: FromEnvironment | None = None

    @property
    def headers(self) -> HttpHeaders:
        """What the proxy itself is sent."""
        return HttpHeaders({"proxy-authorization": self.secrets[0].reveal()} if self.secrets else {})

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            (Proxy, (self.address, self.secrets)) if self.source is None else (read_proxy, (self.source, "a provider"))
        )


class Proxies:
    """Which proxy a request goes through: the given one, or with ``trust_env`` what the environment names."""

    def __init__(self, proxy: Proxy | None, *, trust_env: bool) -> None:
        self._proxy = proxy
        self._trust_env = trust_env and proxy is None
        self.may_apply = proxy is not None or trust_env
        """Whether there may be one."""
        self.secrets = [*proxy.secrets] if proxy is not None else []
        self._known: list[Proxy] = []
        self._cache: dict[tuple[str, str], Proxy | None] = {}

    def __call__(self, url: str) -> Proxy | None:
        """Return the proxy for a URL. Raises ConfigurationError where the environment names one that can't be used."""
        if not self._trust_env:
            return self._proxy
        scheme, _, host = url.split("/", 3)[:3]
        if (scheme, host) not in self._cache:
            if len(self._cache) >= MAX_REMEMBERED:  # full: what still comes is read again
                self._cache.clear()
            self._cache[scheme, host] = self._shared(environment_proxy(url))
        return self._cache[scheme, host]

    def _shared(self, proxy: Proxy | None) -> Proxy | None:
        """Return one object for one proxy, so that its secrets are kept once for all hosts."""
        if proxy is None:
            return None
        for known in self._known:
            if (known.address, known.headers) == (proxy.address, proxy.headers):
                return known
        self._known.append(proxy)
        self.secrets += proxy.secrets
        return proxy


def read_proxy(value: str | Secret | None, owner: str) -> Proxy | None:
    """Read the option ``proxy``. Raises ConfigurationError without showing any of it."""
    text = value.reveal() if isinstance(value, Secret) else value
    proxy = _parse(text) if text is not None else None
    if isinstance(proxy, Proxy) and isinstance(text, FromEnvironment):
        proxy = replace(proxy, source=text)
    value = text = None  # a traceback with locals shows this frame
    if isinstance(proxy, str):
        raise ConfigurationError(f"{owner}: proxy {proxy}")
    return proxy


def environment_proxy(url: str) -> Proxy | None:
    """Read the proxy that the environment names for a URL: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, unless NO_PROXY."""
    parts = urlsplit(url)
    proxies = getproxies()
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    text = proxies.get(name)
    if not text or _is_exempt(parts.hostname or "", parts.port, proxies.get("no", "")):
        return None
    proxy = _parse(text if "://" in text else f"http://{text}")
    proxies.clear()  # a traceback with locals shows this frame
    text = None
    if isinstance(proxy, str):
        raise ConfigurationError(f"the environment's {name.upper()}_PROXY {proxy}")
    return proxy


def _parse(text: str) -> Proxy | str:
    """Take a proxy's URL apart, or say what is wrong with it, without showing it."""
    if not text.strip():
        return f"is empty; leave it out for no proxy, or give its address: {EXPECTED}"
    if re.match(r"socks", text, re.IGNORECASE):
        return (
            "is a SOCKS proxy, which tako doesn't speak; give an HTTP proxy, "
            "or an httpx transport that speaks SOCKS as transport="
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return f"isn't a URL: {EXPECTED}"
    has_path = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or has_path or re.search(r"\s", text):
        return f"isn't a proxy's URL: {EXPECTED}"
    login, separator, host = parts.netloc.rpartition("@")
    address = f"{parts.scheme}://{host}" if port else f"{parts.scheme}://{host}:{PORTS[parts.scheme]}"
    if not separator:
        return Proxy(address)
    user, _, password = (unquote(part) for part in login.partition(":"))
    basic = b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(address, (Secret(basic, prefix="Basic "), Secret(password)))


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether NO_PROXY names a host: by its name or a domain above it, with a port or without, or by a network."""
    if proxy_bypass(f"{host}:{port}" if port else host):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    for entry in no_proxy.split(","):
        try:
            if address in ip_network(entry.strip(" []"), strict=False):
                return True
        except ValueError:  # a name
            continue
    return False
