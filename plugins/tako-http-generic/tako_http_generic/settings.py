"""The settings of an endpoint: the same in Python, in TOML and in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import msgspec
from msgspec import Struct, field

from tako import Capabilities, errors
from tako.errors import ConfigurationError, ProviderError, kind_of
from tako.kit.http import TransportOptions
from tako.types import FinishReason

if TYPE_CHECKING:
    from tako.keywords import RequestOptions
    from tako.url_prefetch import UrlPrefetch
    from tako_http_generic.pointers import Pointers

Format = Literal["tako", "openai", "anthropic", "ollama"]
FORMATS = get_args(Format)


class ToolCalls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a reply, or one event of a stream, has its tool calls.

    ``pointer`` leads to an array of calls or to a single one; "" is the reply (the event) itself. The other pointers
    start at the call. Arguments are JSON text, a fragment of it (in streams), or a JSON value, which is complete.
    ``index_pointer`` leads to the number of the call that a fragment belongs to. ``where`` maps pointers to values: an
    item with another value there isn't a call.
    """

    pointer: str | list[str]
    id_pointer: str | list[str] = "/id"
    name_pointer: str | list[str] = "/function/name"
    arguments_pointer: str | list[str] = "/function/arguments"
    index_pointer: str | list[str] = "/index"
    where: dict[str, Any] = {}


class OpenAiSse(Struct, frozen=True, tag_field="kind", tag="openai_sse", forbid_unknown_fields=True):
    """Server-Sent Events with JSON in them. The defaults are those of Chat Completions.

    A reply is complete if it has a finish reason, or an event whose data or name is ``stop_marker``. With
    ``require_marker`` only the marker counts; with ``require_finish=False`` a clean end of the body is enough.
    Any event may have usage: later fields replace earlier ones. ``signature_pointer`` leads to opaque state that ends a
    piece of reasoning and is sent back with it. ``where`` maps pointers to values: of an event with another value
    there, only the usage is read.
    """

    content_pointer: str | list[str] = "/choices/0/delta/content"
    finish_reason_pointer: str | list[str] | None = "/choices/0/finish_reason"
    usage_pointer: str | list[str] | None = "/usage"
    reasoning_pointer: str | list[str] | None = None
    signature_pointer: str | list[str] | None = None
    tool_calls: ToolCalls | str | None = None
    error_pointer: str | list[str] | None = None
    id_pointer: str | list[str] | None = "/id"
    model_pointer: str | list[str] | None = "/model"
    stop_marker: str | None = "[DONE]"
    require_marker: bool = False
    require_finish: bool = True
    where: dict[str, Any] = field(default_factory=lambda: {"/choices/0/index": 0})


class NdJson(Struct, frozen=True, tag_field="kind", tag="ndjson", forbid_unknown_fields=True):
    """One JSON document per line.

    A reply is complete if it has a finish reason, or a line in which ``done_pointer`` leads to true. The rest of the
    body is still read, because usage may follow.
    """

    content_pointer: str | list[str]
    finish_reason_pointer: str | list[str] | None = None
    usage_pointer: str | list[str] | None = None
    done_pointer: str | list[str] | None = None
    reasoning_pointer: str | list[str] | None = None
    signature_pointer: str | list[str] | None = None
    tool_calls: ToolCalls | str | None = None
    error_pointer: str | list[str] | None = None
    id_pointer: str | list[str] | None = "/id"
    model_pointer: str | list[str] | None = "/model"
    stop_marker: str | None = None
    require_marker: bool = False
    require_finish: bool = True
    where: dict[str, Any] = {}


StreamConfig = OpenAiSse | NdJson


class Options(TransportOptions, total=False):
    """The other options of an endpoint.

    ``messages_format``: the format of messages and tools: "tako", "openai", "anthropic" or "ollama".
    ``stream_body_template``, ``stream_url``: for streams, instead of the others. ``query``: parameters to add to the
    URL. ``reasoning_pointer``, ``id_pointer``, ``model_pointer``: where a reply has them.
    ``finish_reasons``: the endpoint's finish reasons to tako's; the usual ones are known. ``finish_from_calls``: if a
    reply with tool calls ends with "stop", its finish reason is "tool_calls". ``usage_fields``: tako's counts to
    pointers that start where ``usage_pointer`` leads; the usual ones are known. ``error_codes``: an error's status or
    code to the name of its class in ``tako.errors``. ``error_message_pointer``, ``error_code_pointer``: where an error
    has its message and its code. ``url_prefetch``: whether tako fetches images and files that the endpoint can't, and
    by which policy.
    """

    messages_format: Format
    defaults: RequestOptions
    stream_body_template: Any
    stream_url: str | None
    query: Mapping[str, str]
    reasoning_pointer: Pointers | None
    id_pointer: Pointers | None
    model_pointer: Pointers | None
    finish_reasons: Mapping[str, str]
    finish_from_calls: bool
    usage_fields: Mapping[str, str | list[str]]
    error_codes: Mapping[str, str]
    error_message_pointer: Pointers | None
    error_code_pointer: Pointers | None
    url_prefetch: bool | UrlPrefetch


def read_setting(value: Any, kind: Any, option: str) -> Any:
    """Return a setting as its Struct; dicts are converted. Raises ConfigurationError with the path of a wrong value."""
    if value is None or isinstance(value, Struct):
        if value is None or isinstance(value, get_args(kind) or kind):
            return value
        raise ConfigurationError(f"{option} is {kind_of(value)}, which doesn't belong there")
    if kind is Capabilities:
        unknown = [name for name in _keys(value) if name not in Capabilities.__struct_fields__]
        if unknown:
            known = ", ".join(Capabilities.__struct_fields__)
            raise ConfigurationError(f"{option} has no {unknown[0]!r} (known: {known})")
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise ConfigurationError(f"{option}: {error}") from None


def read_finish_reasons(finish_reasons: Mapping[str, Any], owner: str) -> dict[str, FinishReason]:
    """Return ``finish_reasons`` with tako's values. Raises ConfigurationError for one that tako doesn't have."""
    if not isinstance(finish_reasons, Mapping):
        raise ConfigurationError(f"{owner}: finish_reasons is {kind_of(finish_reasons)}, not a dict")
    reasons: dict[str, FinishReason] = {}
    for name, reason in finish_reasons.items():
        try:
            reasons[name] = FinishReason(reason)
        except ValueError:
            known = ", ".join(FinishReason)
            raise ConfigurationError(f"{owner}: finish_reasons.{name} is {reason!r}, not one of {known}") from None
    return reasons


def read_error_codes(error_codes: Mapping[str, str], owner: str) -> dict[str, type[ProviderError]]:
    """Return error classes by status or code. Raises ConfigurationError for a name that isn't a class of them."""
    classes: dict[str, type[ProviderError]] = {}
    for code, name in error_codes.items():
        value = getattr(errors, name, None) if isinstance(name, str) else None
        if not (isinstance(value, type) and issubclass(value, ProviderError)):
            raise ConfigurationError(f"{owner}: error_codes.{code} is {name!r}, which isn't a class of ProviderError")
        classes[str(code)] = value
    return classes


def _keys(value: Any) -> list[str]:
    return list(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else []
