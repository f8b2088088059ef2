"""The address of an endpoint. Keys in it, and in ``query=``, are secrets like any other."""

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

_MARK = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_SECRET = re.compile(
    r"auth|key|token|secret|sig|credential|passw|pwd|session|cookie|^code$|^x-amz-|^x-goog-", re.IGNORECASE
)
"""Parameters that hold keys, by their names, as the recorder has them; ``code`` is that of Azure Functions."""
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.~+/=%-]{20,}", re.ASCII)
_KEY = re.compile(r"(?:sk|pk|key|token)[-_]\S{8,}|(?=\w*[0-9])(?=\w*[a-z])(?=\w*[A-Z])\w{20,}|[0-9a-f]{32,}", re.ASCII)
"""What looks like a key, and not like the name of a model or a folder."""
_COUNT = re.compile(r"[0-9]{1,6}|true|false", re.IGNORECASE)
HIDDEN = "***"


class Url(str):
    """An address as it is sent; its repr hides the keys in it."""

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, text: str, shown: str) -> Self:
        """Make one of its text and of what is shown."""
        made = super().__new__(cls, text)
        made.shown = shown
        return made

    def __repr__(self) -> str:
        return repr(self.shown)


class Parameter(Struct, frozen=True):
    """A parameter of a query: ``key=`` and what follows it, percent-encoded unless it is a secret."""

    start: str
    value: str | Secret

    def text(self, model: str) -> str:
        """Return it as it is sent."""
        if isinstance(self.value, Secret):
            return self.start + quote_plus(self.value.reveal())
        return self.start + _MARK.sub(lambda _: quote(model, safe=""), self.value)

    def shown(self) -> str:
        """Return it as it may be seen."""
        return self.start + (HIDDEN if isinstance(self.value, Secret) else self.value)


class Address:
    """A URL in which ``{{ model }}`` may stand, with what is added to it. ``shown`` is the URL without its keys.

    One that a variable holds is hidden but for its host, and in a pickle it is that variable's name.
    """

    def __init__(self, url: Any, query: Any, option: str, owner: str) -> None:
        """Check it; raises ConfigurationError, which never shows the query."""
        self._base = _checked(url, option, owner)
        if not isinstance(query, Mapping):
            raise ConfigurationError(f"{owner}: query is {kind_of(query)}, not a dict")
        self.slots = {"model"} if _MARK.search(url) else set[str]()
        self._owner = owner
        self._named = url if isinstance(url, FromEnvironment) else None
        self._added = [_added(name, value) for name, value in query.items()]
        self._inline = [*_inline(url)]
        keys = [one.value for one in (*self._inline, *self._added) if isinstance(one.value, Secret)]
        self.shown = self._base + _joined([one.shown() for one in (*self._inline, *self._added)])
        for step in filter(_KEY.fullmatch, urlsplit(self._base).path.split("/")):
            keys.append(Secret(step))
            self.shown = self.shown.replace(step, HIDDEN)
        if self._named is not None:
            keys += [Secret(step) for step in self._base.split("/") if _RANDOM.fullmatch(step)]
            self.shown = "{0.scheme}://{0.netloc}/{1}".format(urlsplit(self._base), HIDDEN)
        self.secrets = keys

    def of(self, model: str) -> str:
        """Return the URL for a model. Raises ConfigurationError where the model can't be in it."""
        base, inline = self._base, self._inline
        if self._named is not None:
            base, inline = self._named.partition("?")[0], [*_inline(self._named)]
        if _MARK.search(base):
            base = _MARK.sub(path_of(model, "model", self._owner), base)
        url = base + _joined([one.text(model) for one in (*inline, *self._added)])
        return Url(url, self.shown) if self.secrets or self._named is not None else url

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what a variable holds."""
        return self.__dict__ if self._named is None else {**self.__dict__, "_base": "", "_inline": [], "secrets": []}


def _checked(url: Any, option: str, owner: str) -> str:
    """Return a URL without its query, checked. Raises ConfigurationError."""
    if not isinstance(url, str):
        return check_url(url, option, owner)
    base, _, query = str(url).partition("?")
    shown = repr(url if isinstance(url, FromEnvironment) else base)
    if any(mark != "model" for mark in _MARK.findall(url)):
        raise ConfigurationError(f"{owner}: {option}={shown} has another placeholder than {{{{ model }}}}")
    if re.search(r"[\s\x00-\x1f\x7f#]", _MARK.sub("", query)):
        raise ConfigurationError(f"{owner}: {option}={shown} has a query with a space, a # or a control character")
    if isinstance(url, FromEnvironment):
        with suppress(ConfigurationError):  # its text has the URL in it
            check_url(_MARK.sub("model", base), option, owner)
            return base
        raise ConfigurationError(f"{owner}: {option}={shown} has no address like https://api.example.com/v1")
    check_url(_MARK.sub("model", base), option, owner)
    return base


def _inline(url: str) -> Iterator[Parameter]:
    """Iterate over the parameters that stand in a URL."""
    for field in filter(None, url.partition("?")[2].split("&")):
        name, equals, value = field.partition("=") if "=" in field else ("", "", field)
        secret = _is_secret(unquote_plus(name), unquote_plus(value))
        yield Parameter(name + equals, Secret(unquote_plus(value)) if secret else value)


def _added(name: Any, value: Any) -> Parameter:
    """Read a parameter of ``query=``."""
    start, text = f"{quote_plus(str(name))}=", str(value)
    if isinstance(value, FromEnvironment) or _is_secret(str(name), text):
        return Parameter(start, Secret.of(value if isinstance(value, str) else text))
    return Parameter(start, quote_plus(text))


def _joined(parameters: list[str]) -> str:
    return f"?{'&'.join(parameters)}" if parameters else ""


def keys_in(template: Any, name: str = "") -> Iterator[str]:
    """Iterate over the keys that are written in a body: by the names of their fields, or by their looks."""
    if isinstance(template, Mapping):
        fields: Mapping[Any, Any] = template  # pyright: ignore[reportUnknownVariableType] - of Any
        for key, value in fields.items():
            yield from keys_in(value, str(key))
    elif isinstance(template, (list, tuple)):
        items: Any = template  # pyright: ignore[reportUnknownVariableType] - of Any
        for value in items:
            yield from keys_in(value, name)
    elif isinstance(template, str) and not _MARK.search(template):
        named = _SECRET.search(name) and re.fullmatch(r"\S{8,}", template)
        if named or _KEY.fullmatch(template):
            yield template


def _is_secret(name: str, value: str) -> bool:
    """Tell a key by the parameter's name, or by its looks."""
    if _MARK.search(value) or _COUNT.fullmatch(value):
        return False
    return bool(_SECRET.search(name) or _RANDOM.fullmatch(value))
