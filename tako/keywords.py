"""The keywords of a call, and a provider's defaults. Both become fields of the request before any hook sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgspec
from msgspec.structs import replace

from tako.environment import resolve
from tako.errors import ConfigurationError, kind_of, short_repr
from tako.extra import merge_extra
from tako.hidden_dict import HiddenDict
from tako.json_values import as_array, as_object
from tako.names import did_you_mean, nearest_or_all
from tako.request import as_request
from tako.types import ChatRequest, JsonSchema, Message, Role, Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tako.parts import Part
    from tako.provider import Provider
    from tako.types import VendorTool

Prompt = ChatRequest | str | list[Message] | Message
"""What you can pass as a request."""


class RequestOptions(TypedDict, total=False):
    """The keywords of ``chat`` and ``stream``: ``system``, and every field of a ChatRequest except its messages.

    None leaves a field as the request has it. Other values replace the request's. ``headers``, ``metadata``, ``extra``
    and ``context`` are merged into it.

    Attributes:
        system: A text, or parts, that goes before all messages.
        model: Another model of the same provider.
        tools: Functions and Tools that the model may call.
        tool_choice: "auto", "none", "required", or the name of a tool.
        parallel_tool_calls: Whether one reply may have several tool calls.
        temperature: How random the reply is.
        top_p: The share of probability that tokens are sampled from, 0 to 1.
        max_tokens: The most tokens that the model may generate.
        stop: Texts at which the reply ends.
        seed: Makes replies repeatable, with vendors that support it.
        response_format: "json", or a JsonSchema.
        reasoning: An effort from "none" to "max", or a budget in tokens.
        metadata: Texts for the vendor's logs.
        extra: More fields of the vendor's request body.
        strict: Raise an UnsupportedError instead of adding a notice.
        timeout: The longest silence, in seconds.
        deadline: The most time for the whole call, in seconds.
        headers: HTTP headers for this request.
        context: Data for your plugins, which is never sent.
    """

    system: str | list[Part] | None
    model: str | None
    tools: Sequence[Tool | VendorTool | Callable[..., Any]] | None
    tool_choice: str | None
    parallel_tool_calls: bool | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: list[str] | None
    seed: int | None
    response_format: Literal["json"] | JsonSchema | None
    reasoning: int | str | None
    metadata: dict[str, str] | None
    extra: dict[str, Any] | None
    strict: bool | None
    timeout: float | None
    deadline: float | None
    headers: dict[str, str] | None
    context: dict[str, Any] | None


REQUEST_KEYWORDS = tuple(RequestOptions.__annotations__)
ID_PARAMETERS = ("model", "id")
"""Parameters of a provider that come from its id."""
CALL_KEYWORDS = ("response_type", "repairs")
"""Keywords that aren't fields of a request."""
RUN_KEYWORDS = ("max_rounds", "max_cost", "approve")
"""Those that only a run takes."""
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict"), "use max_tokens"),
    **dict.fromkeys(("reasoning_effort", "thinking", "thinking_budget"), "use reasoning"),
    **dict.fromkeys(("system_prompt", "system_instruction", "instructions"), "use system"),
    **dict.fromkeys(("response_model", "response_schema", "output_type"), "use response_type"),
    **dict.fromkeys(("messages", "prompt", "input"), "pass it first, without a name"),
    "extra_body": "use extra",
    "extra_headers": "use headers",
    "functions": "use tools",
    "stop_sequences": "use stop",
    "stream": "call stream(…) in place of chat(…)",
    **dict.fromkeys(
        ("frequency_penalty", "logit_bias", "logprobs", "presence_penalty", "service_tier", "top_k", "user"),
        "if the vendor has it, pass it in extra={…}",
    ),
}
"""What keywords of other libraries and of vendors are here."""
_UNSET = ChatRequest([])
"""A request without any options."""


def apply_options(prompt: Prompt, options: Mapping[str, Any], defaults: Mapping[str, Any], owner: str) -> ChatRequest:
    """Return a checked request. Keywords replace its fields, and the provider's defaults fill in the others.

    Raises ConfigurationError for an unknown keyword, and like ``as_request``.
    """
    check_names(options, owner)
    request = as_request(prompt)
    if not options and not defaults:
        return request
    if defaults:
        request = _apply(request, _applicable_defaults(request, options, defaults), defaults_first=True)
    return as_request(_apply(request, {name: value for name, value in options.items() if value is not None}))


def read_defaults(options: object, provider: Provider) -> dict[str, Any]:
    """Check a provider's ``defaults``. A schema or tools may be tables, as in a file. Raises ConfigurationError."""
    owner = provider.id
    options = resolve(options, "defaults", provider.name)
    table = as_object(options)
    if table is None:
        raise ConfigurationError(f"{owner}: defaults is a dict of a request's fields, not {kind_of(options)}")
    try:
        check_names(table, "defaults")
        defaults = {name: _from_table(name, value) for name, value in table.items() if value is not None}
        apply_options("Hi", defaults, {}, owner)
    except (ConfigurationError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{owner}: {str(error).removeprefix('defaults: ')} (in defaults)") from None
    return {name: HiddenDict(value) if name in ("headers", "context") else value for name, value in defaults.items()}


def check_names(options: Mapping[str, Any], owner: str) -> None:
    """Raise ConfigurationError for an unknown keyword."""
    for name in options:
        if name not in REQUEST_KEYWORDS:
            near = did_you_mean(str(name), (*REQUEST_KEYWORDS, *CALL_KEYWORDS, *RUN_KEYWORDS))
            hint = near or f" (known: {', '.join(REQUEST_KEYWORDS)}; a vendor's own field goes into extra={{…}})"
            if name in ELSEWHERE:
                hint = f"; {ELSEWHERE[name]}"
            if name in CALL_KEYWORDS:
                hint = "; give it to chat, say or run" + (", or to stream" if name == "response_type" else "")
            if name in RUN_KEYWORDS:
                hint = "; give it to run"
            raise ConfigurationError(f"{owner}: a request has no option {short_repr(name)}{hint}")


def option_hint(name: str, options: Collection[str]) -> str:
    """Return what to write in place of an option that a provider doesn't have, given those that it has."""
    if name in REQUEST_KEYWORDS and name not in options:
        return f"; {name} is a keyword of chat: pass it there, or put it into defaults"
    return nearest_or_all(name, [option for option in options if option not in ID_PARAMETERS])


def _from_table(name: str, value: Any) -> Any:
    """Read a schema or tools that a file has as tables."""
    if name == "response_format" and as_object(value) is not None:
        return msgspec.convert(value, JsonSchema)
    if name == "tools":
        tables = as_array(value) or [value]
        return _functions_to_tools(
            [msgspec.convert(tool, Tool) if as_object(tool) is not None else tool for tool in tables]
        )
    return value


def _applicable_defaults(
    request: ChatRequest, options: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the defaults of the fields that neither the request nor a keyword sets."""
    chosen: dict[str, Any] = {}
    for name, value in defaults.items():
        if name == "system":
            is_set = any(message.role is Role.SYSTEM for message in request.messages)
        else:
            is_set = name not in _MERGERS and getattr(request, name) != getattr(_UNSET, name)
        if not is_set and (name in _MERGERS or options.get(name) is None):
            chosen[name] = value
    return chosen


def _apply(request: ChatRequest, options: Mapping[str, Any], *, defaults_first: bool = False) -> ChatRequest:
    """Set fields of a request. In fields that merge, the options win, or with ``defaults_first`` the request."""
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if name == "system":
            if not isinstance(value, (str, list)):
                raise ConfigurationError(f"system is {kind_of(value)}, not a str or a list of parts")
            changes["messages"] = [Message.system(value), *request.messages]  # pyright: ignore[reportUnknownArgumentType] - checked with the request
        elif name == "tools":
            changes[name] = _functions_to_tools(value)
        elif name in _MERGERS and (new := as_object(value)) is not None:
            old = getattr(request, name)
            changes[name] = _MERGERS[name](new, old) if defaults_first else _MERGERS[name](old, new)
        else:
            changes[name] = value
    return replace(request, **changes) if changes else request


def merge_options(base: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Merge keywords into others, by the same rules as into a request."""
    merged = dict(base)
    for name, value in options.items():
        old, new = as_object(base.get(name)), as_object(value)
        if name in _MERGERS and old is not None and new is not None:
            merged[name] = _MERGERS[name](old, new)
        elif value is not None:
            merged[name] = value
    return merged


def _functions_to_tools(tools: Any) -> Any:
    """Turn the functions among the tools into Tools."""
    items: Any = [*tools] if isinstance(tools, tuple) else tools  # pyright: ignore[reportUnknownArgumentType] - checked with the request
    if not any(callable(tool) for tool in as_array(items) or ()):
        return items
    return [Tool.of(tool) if callable(tool) else tool for tool in items]


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **new}


def _merge_headers(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Merge headers. The case of their names doesn't matter."""
    replaced = {str(name).lower() for name in new}
    return {**{name: value for name, value in old.items() if str(name).lower() not in replaced}, **new}


_MERGERS = {"headers": _merge_headers, "metadata": _merge, "extra": merge_extra, "context": _merge}
"""The fields that merge, and how."""
