"""The options of a provider, by its constructor, and checks of values from a file: their types, and secrets."""

from __future__ import annotations

import collections.abc
import inspect
import re
import sys
import typing
from typing import TYPE_CHECKING, Any, ForwardRef, TypeGuard, get_args

import msgspec

from tako.capabilities import Capabilities
from tako.environment import is_reference
from tako.url_prefetch import UrlPrefetch

if TYPE_CHECKING:
    from tako.provider import Provider

TABLES: dict[str, type] = {"capabilities": Capabilities, "url_prefetch": UrlPrefetch}
"""Options that are objects in Python, and tables of their fields in a file."""

PLACES_PARAMETER = "places"
"""The parameter of ``from_id`` for folders with modules. It isn't an option: tako.toml's folder is passed here."""
_SECRET = re.compile(
    r"(^|[_-])(api)?(key|token|secret|password|passwd|auth|cookie|credentials?|sig|signature)$|authorization|apikey$",
    re.IGNORECASE,
)
_DOLLAR = re.compile(r"([^\s$]+ )?\$[A-Za-z_]\w*")
"""A variable as in http-generic's headers, perhaps after a scheme: ``Bearer $TOKEN``."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@]*:[^/?#@]+@", re.IGNORECASE)
_PASSWORD_IN_TEXT = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/?#@\s\"'<>]*:[^/?#@\s\"'<>]+@", re.IGNORECASE)
_VALUE_IN_TEXT = re.compile(r"([?&]([^=&#?\s]+)=)[^&#\s\"'<>)\]]+")
_PARAMETER = re.compile(r"[?&]([^=&#]+)=[^&#{]")


def is_table(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value from a file is a table."""
    return isinstance(value, dict)


def options_of(cls: type[Provider]) -> dict[str, Any] | None:
    """Return the names of a provider's options with their types (Any if unknown). None if the names are unknown.

    They are the parameters of its constructor, and the keyword-only ones of ``from_id``.
    """
    init = inspect.unwrap(cls.__init__)
    names = {**vars(typing), **vars(collections.abc)}
    for base in reversed(cls.__mro__):  # a module may import a name under TYPE_CHECKING that its base imports
        names |= vars(sys.modules[base.__module__])
    names |= {"Capabilities": Capabilities, "UrlPrefetch": UrlPrefetch, **getattr(init, "__globals__", {})}
    options: dict[str, Any] = {}
    id_parameters = [
        parameter
        for parameter in _parameters(cls.from_id)
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != PLACES_PARAMETER
    ]
    for parameter in [*id_parameters, *_parameters(cls)]:
        declared = _type(parameter.annotation, names)
        if parameter.kind is parameter.VAR_KEYWORD:
            unpacked = next(iter(get_args(declared)), None)
            fields: dict[str, Any] | None = getattr(unpacked, "__annotations__", None)
            if fields is None:
                return None
            namespace = {**names, **vars(sys.modules[str(getattr(unpacked, "__module__", cls.__module__))])}
            options |= {name: _type(annotation, namespace) for name, annotation in fields.items()}
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            options[parameter.name] = declared
    return {**options, "defaults": dict[str, Any]}  # an option of every provider, so constructors don't have it


def options_of_function(function: Any) -> dict[str, Any] | None:
    """Return the names of a function's parameters with their types, like ``options_of``."""
    names = {**vars(typing), **vars(collections.abc), **getattr(inspect.unwrap(function), "__globals__", {})}
    try:
        parameters = _parameters(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {
        parameter.name: _type(parameter.annotation, names)
        for parameter in parameters
        if parameter.kind is not parameter.VAR_POSITIONAL
    }


def accepts_places(cls: type[Provider]) -> bool:
    """Whether ``from_id`` imports modules, and takes the folders to search."""
    return any(parameter.name == PLACES_PARAMETER for parameter in _parameters(cls.from_id))


def fit_value(value: Any, name: str, declared: Any) -> Any:
    """Convert a file's value for an option. Raises ValueError with what was expected, without the value."""
    table = TABLES.get(name)
    if table is not None and is_table(value):
        fields = [field.name for field in msgspec.structs.fields(table)]
        unknown = next((key for key in value if key not in fields), None)
        if unknown is not None:
            raise ValueError(f".{unknown}: no such field (known: {', '.join(fields)})")
        declared = table
    try:
        fitted = msgspec.convert(value, declared)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise ValueError(f"{path.rstrip('`')}: {text}") from None
    except (TypeError, RuntimeError):  # the provider checks types that msgspec doesn't know
        return value
    return fitted if declared is table else value


def find_secret(value: Any, key: str = "", *, dollar: bool = False) -> str | None:
    """Find a secret in an option's value, at any depth. Returns the path to it, or None.

    References to variables aren't secrets: ``$ENV:NAME``, and with ``dollar`` also ``$NAME``. "none" isn't one,
    either: it's a usual key for servers without keys.
    """
    if is_table(value):
        name_field = value.get("name") if isinstance(value.get("value"), str) else None  # {name = "…", value = "…"}
        children = [(f".{name}", str(name_field or name) if name == "value" else name, value[name]) for name in value]
    elif _is_list(value):
        is_pair = len(value) == 2 and all(isinstance(item, str) for item in value)  # noqa: PLR2004 - ["name", "value"]
        children = [(f"[{i}]", value[0] if is_pair and i else key, child) for i, child in enumerate(value)]
    else:
        return "" if isinstance(value, str) and _is_secret(value, key, dollar=dollar) else None
    for step, name, child in children:
        path = find_secret(child, name, dollar=dollar)
        if path is not None:
            return step + path
    return None


def _is_secret(text: str, key: str, *, dollar: bool) -> bool:
    """Whether a text is a secret, by its key, or by its place in a URL."""
    if text == "none" or is_reference(text) or (dollar and _DOLLAR.fullmatch(text)):
        return False
    is_secret_query = _URL.match(text) and any(_SECRET.search(name) for name in _PARAMETER.findall(text))
    return bool(_SECRET.search(key) or _WITH_PASSWORD.match(text) or is_secret_query)


def hide_secrets_in_urls(text: str) -> str:
    """Return a text with asterisks for passwords and other secrets in its addresses."""
    if "://" not in text:
        return text
    without = _PASSWORD_IN_TEXT.sub(r"\1***@", text)
    return _VALUE_IN_TEXT.sub(lambda match: f"{match[1]}***" if _SECRET.search(match[2]) else match[0], without)


def _parameters(function: Any) -> list[inspect.Parameter]:
    return [*inspect.signature(function).parameters.values()]


def without_secrets(value: Any, key: str = "") -> Any:
    """Leave out values with the names of secrets, and logins and queries of URLs."""
    if is_table(value):
        named = value.get("name") if isinstance(value.get("value"), str) else None
        secret = named is not None and _SECRET.search(str(named)) is not None
        shown_keys = [name for name in value if not _SECRET.search(name) and not (secret and name == "value")]
        return {name: without_secrets(value[name], name) for name in shown_keys}
    if _is_list(value):
        if len(value) == 2 and isinstance(value[0], str) and _SECRET.search(value[0]):  # noqa: PLR2004 - ["name", "value"]
            return value[:1]
        return [without_secrets(item, key) for item in value]
    if isinstance(value, str) and "://" in value:
        scheme, _, address = value.partition("://")
        host, slash, path = re.split(r"[?#]", address, maxsplit=1)[0].partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return value


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _type(annotation: Any, names: dict[str, Any]) -> Any:
    """Evaluate an annotation. Any if it has a name that is only imported under TYPE_CHECKING."""
    text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
    if not isinstance(text, str):
        return text
    try:
        return eval(text, dict(names))  # noqa: S307 - the text is from the source of a class that is already imported
    except (NameError, AttributeError, TypeError, SyntaxError):
        return Any
