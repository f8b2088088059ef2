"""The address of an endpoint. Keys in it, and in ``query=``, are secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit

from msgspec import Struct

from tako.environment import FromEnvironment
from tako.errors import ConfigurationError, kind_of
from tako.kit.addresses import check_url
from tako.kit.checks import path_of
from tako.kit.keys import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_SECRET = re.compile(
    r"auth|key|token|secret|sig|credential|passw|pwd|session|cookie|^code$|^x-amz-|^x-goog-", re.IGNORECASE
)
"""Names of parameters that are keys, the same as the recorder's; ``code`` is the key of Azure Functions."""
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.~+/=%-]{20,}", re.ASCII)
_KEY = re.compile(r"(?:sk|pk|key|token)[-_]\S{8,}|(?=\w*[0-9])(?=\w*[a-z])(?=\w*[A-Z])\w{20,}|[0-9a-f]{32,}", re.ASCII)
"""Text that looks like a key, and not like the name of a model or a folder."""
_COUNT = re.compile(r"[0-9]{1,6}|true|false", re.IGNORECASE)
HIDDEN = "***"


class Url(str):
    """An address as it is sent; its repr hides the keys in it."""

    __slots__ = ("redacted",)
    redacted: str

    def __new__(cls, text: str, redacted: str) -> Self:
        """Make a URL from its text, and the text without keys."""
        url = super().__new__(cls, text)
        url.redacted = redacted
        return url

    def __repr__(self) -> str:
        return repr(self.redacted)


class Parameter(Struct, frozen=True):
    """A parameter of a query: ``key=`` and the value, which is percent-encoded unless it's a secret."""

    prefix: str
    value: str | Secret

    def text(self, model: str) -> str:
        """Return the parameter as it's sent."""
        if isinstance(self.value, Secret):
            return self.prefix + quote_plus(self.value.reveal())
        return self.prefix + _PLACEHOLDER.sub(lambda _: quote(model, safe=""), self.value)

    def redacted(self) -> str:
        """Return the parameter without the secret."""
        return self.prefix + (HIDDEN if isinstance(self.value, Secret) else self.value)


class Address:
    """A URL that may have ``{{ model }}`` in it, and the parameters of ``query=``. ``redacted`` is it without its keys.

    If the URL is in an environment variable, only its host is in ``redacted``, and a pickle has the variable's name.
    """

    def __init__(self, url: Any, query: Any, option: str, owner: str) -> None:
        """Check the URL. Raises ConfigurationError, which never has the query in it."""
        self._base = _check(url, option, owner)
        if not isinstance(query, Mapping):
            raise ConfigurationError(f"{owner}: query is {kind_of(query)}, not a dict")
        self.placeholders = {"model"} if _PLACEHOLDER.search(url) else set[str]()
        self._owner = owner
        self._variable = url if isinstance(url, FromEnvironment) else None
        self._added = [_added_parameter(name, value) for name, value in query.items()]
        self._inline = [*_inline_parameters(url)]
        parameters = [*self._inline, *self._added]
        keys = [parameter.value for parameter in parameters if isinstance(parameter.value, Secret)]
        self.redacted = self._base + _join([parameter.redacted() for parameter in parameters])
        for segment in filter(_KEY.fullmatch, urlsplit(self._base).path.split("/")):
            keys.append(Secret(segment))
            self.redacted = self.redacted.replace(segment, HIDDEN)
        if self._variable is not None:
            keys += [Secret(segment) for segment in self._base.split("/") if _RANDOM.fullmatch(segment)]
            self.redacted = "{0.scheme}://{0.netloc}/{1}".format(urlsplit(self._base), HIDDEN)
        self.secrets = keys

    def url(self, model: str) -> str:
        """Return the URL for a model. Raises ConfigurationError if the model can't be in it."""
        base, inline = self._base, self._inline
        if self._variable is not None:
            base, inline = self._variable.partition("?")[0], [*_inline_parameters(self._variable)]
        if _PLACEHOLDER.search(base):
            base = _PLACEHOLDER.sub(path_of(model, "model", self._owner), base)
        url = base + _join([parameter.text(model) for parameter in (*inline, *self._added)])
        return Url(url, self.redacted) if self.secrets or self._variable is not None else url

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the value of an environment variable."""
        return self.__dict__ if self._variable is None else {**self.__dict__, "_base": "", "_inline": [], "secrets": []}


def _check(url: Any, option: str, owner: str) -> str:
    """Return a URL without its query, checked. Raises ConfigurationError."""
    if not isinstance(url, str):
        return check_url(url, option, owner)
    base, _, query = str(url).partition("?")
    redacted = repr(url if isinstance(url, FromEnvironment) else base)
    if any(name != "model" for name in _PLACEHOLDER.findall(url)):
        raise ConfigurationError(f"{owner}: {option}={redacted} has a placeholder that isn't {{{{ model }}}}")
    if re.search(r"[\s\x00-\x1f\x7f#]", _PLACEHOLDER.sub("", query)):
        raise ConfigurationError(f"{owner}: {option}={redacted} has a query with a space, a # or a control character")
    if isinstance(url, FromEnvironment):
        with suppress(ConfigurationError):  # the error's text has the URL in it
            check_url(_PLACEHOLDER.sub("model", base), option, owner)
            return base
        raise ConfigurationError(f"{owner}: {option}={redacted} has no address like https://api.example.com/v1")
    check_url(_PLACEHOLDER.sub("model", base), option, owner)
    return base


def _inline_parameters(url: str) -> Iterator[Parameter]:
    """Iterate over the parameters in a URL."""
    for field in filter(None, url.partition("?")[2].split("&")):
        name, equals, value = field.partition("=") if "=" in field else ("", "", field)
        is_secret = _is_secret(unquote_plus(name), unquote_plus(value))
        yield Parameter(name + equals, Secret(unquote_plus(value)) if is_secret else value)


def _added_parameter(name: Any, value: Any) -> Parameter:
    """Read a parameter of ``query=``."""
    prefix, text = f"{quote_plus(str(name))}=", str(value)
    if isinstance(value, FromEnvironment) or _is_secret(str(name), text):
        return Parameter(prefix, Secret.of(value if isinstance(value, str) else text))
    return Parameter(prefix, quote_plus(text))


def _join(parameters: list[str]) -> str:
    return f"?{'&'.join(parameters)}" if parameters else ""


def keys_in(template: Any, name: str = "") -> Iterator[str]:
    """Iterate over the keys in a body template, by the names of their fields, or because they look like keys."""
    if isinstance(template, Mapping):
        fields: Mapping[Any, Any] = template  # pyright: ignore[reportUnknownVariableType] - of Any
        for key, value in fields.items():
            yield from keys_in(value, str(key))
    elif isinstance(template, (list, tuple)):
        items: Any = template  # pyright: ignore[reportUnknownVariableType] - of Any
        for value in items:
            yield from keys_in(value, name)
    elif isinstance(template, str) and not _PLACEHOLDER.search(template):
        has_secret_name = _SECRET.search(name) and re.fullmatch(r"\S{8,}", template)
        if has_secret_name or _KEY.fullmatch(template):
            yield template


def _is_secret(name: str, value: str) -> bool:
    """Return whether a parameter is a key, by its name, or because it looks like one."""
    if _PLACEHOLDER.search(value) or _COUNT.fullmatch(value):
        return False
    return bool(_SECRET.search(name) or _RANDOM.fullmatch(value))
