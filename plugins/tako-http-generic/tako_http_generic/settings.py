"""What describes an endpoint: the same words in Python, in TOML and in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast, get_args

import msgspec
from msgspec import Struct, field

from tako import Capabilities
from tako.errors import ConfigurationError, kind_of

Format = Literal["tako", "openai", "anthropic", "ollama"]
FORMATS = get_args(Format)

T = TypeVar("T")


class ToolCalls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where tool calls stand, in a whole reply or in one event of a stream.

    ``pointer`` leads to an array of them or to a single one; "" is the reply (the event) itself. The other pointers
    start at the call. Arguments are JSON text, fragments of it (in streams), or the value itself; a value is a whole
    call. ``index_pointer`` tells which call a fragment belongs to. ``where`` maps pointers to the value that must be
    there if anything is: what has another one is no call.
    """

    pointer: str | list[str]
    id_pointer: str | list[str] = "/id"
    name_pointer: str | list[str] = "/function/name"
    arguments_pointer: str | list[str] = "/function/arguments"
    index_pointer: str | list[str] = "/index"
    where: dict[str, Any] = {}


class OpenAiSse(Struct, frozen=True, tag_field="kind", tag="openai_sse", forbid_unknown_fields=True):
    """Server-Sent Events with JSON in them; the defaults are those of Chat Completions.

    A finish reason, or an event whose data or name is ``stop_marker``, ends the reply in order; with
    ``require_marker`` only the marker does, and with ``require_finish=False`` a clean end of the body is enough.
    ``usage_pointer`` may lead to something in any event: fields that come later replace earlier ones.
    ``signature_pointer`` leads to opaque state that ends a piece of reasoning and goes back with it. ``where`` maps
    pointers to the value that must be there if anything is; of other events, only the usage is read.
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
    """One JSON document a line.

    A finish reason ends the reply in order, and so does a line in which ``done_pointer`` leads to true; the body is
    read to its end all the same, since usage may follow.
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


def read_setting(given: Any, kind: Any, where: str) -> Any:
    """Return a setting as its Struct; dicts are converted. Raises ConfigurationError with the path of what is wrong."""
    if given is None or isinstance(given, Struct):
        if given is None or isinstance(given, get_args(kind) or kind):
            return given
        raise ConfigurationError(f"{where} is {kind_of(given)}, which doesn't belong there")
    if kind is Capabilities:
        unknown = [name for name in _names(given) if name not in Capabilities.__struct_fields__]
        if unknown:
            known = ", ".join(Capabilities.__struct_fields__)
            raise ConfigurationError(f"{where} has no {unknown[0]!r} (known: {known})")
    try:
        return msgspec.convert(given, kind)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _names(given: Any) -> list[str]:
    return list(cast("Mapping[str, Any]", given)) if isinstance(given, Mapping) else []
