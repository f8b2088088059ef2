"""A request's tools and parameters in the dialect's words, and what the Responses API says in the same ones."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_object, text_of
from tako.kit.families import rules_of, sampling
from tako.kit.tools import encode_tools
from tako.parts import TextPart
from tako.types import Role, Tool, VendorTool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tako.kit.completions.dialect import Dialect
    from tako.translator import PartContext
    from tako.types import ChatRequest, JsonSchema

ASK_FOR_JSON = "Answer in JSON."
EFFORTS = ((2048, "low"), (8192, "medium"))
"""Token budgets up to which an effort stands for them; beyond the last it is "high"."""
LONGEST_NAME = 64
"""Characters that the name of a JSON Schema may have."""
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def parameters(request: ChatRequest, context: PartContext, dialect: Dialect) -> Iterator[tuple[str, Any]]:
    """Yield the fields that carry a request's tools and parameters; what the dialect has no word for is noted."""
    yield from tools_of(request, context, _tool, partial(_choice, request=request, dialect=dialect))
    yield from temperatures(request, context, dialect)
    if request.max_tokens is not None:
        yield dialect.max_tokens, request.max_tokens
    if request.stop:
        yield from _stops(request.stop, context, dialect.stops)
    if request.seed is not None:
        yield dialect.seed, request.seed
    if request.response_format is not None and allows_json_beside_tools(request, context):
        yield "response_format", _format(request.response_format, context)
    if request.reasoning is not None or request.tools:
        yield from _effort(request.reasoning, context, dialect, has_tools=bool(request.tools))
    if request.metadata and dialect.metadata:
        yield "metadata", request.metadata
    elif request.metadata:
        context.notice(notices.UNSUPPORTED_PARAMETER, "the wire has no metadata", "metadata")


def allows_json_beside_tools(request: ChatRequest, context: PartContext) -> bool:
    """Whether the model gives JSON beside the tools of a request; if not, that's noted."""
    if not request.tools or rules_of(context.known_as).json_beside_tools:
        return True
    text = "response_format was left out: this model gives no JSON beside tools"
    context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    return False


def effort_of(budget: int) -> str:
    """Return the effort that stands for a budget in tokens, on wires that know words alone."""
    return next((effort for limit, effort in EFFORTS if budget <= limit), "high")


def temperatures(request: ChatRequest, context: PartContext, dialect: Dialect) -> Iterable[tuple[str, float]]:
    """List temperature and top_p, as the model takes them."""
    if request.temperature is None and request.top_p is None:  # most requests
        return ()
    thinks = request.reasoning not in (None, "none")
    is_refused_beside_effort = thinks and not dialect.sampling_beside_effort
    is_refused = not dialect.sampling or is_refused_beside_effort
    refusal = (
        f"this model doesn't accept it{' beside an effort' if is_refused_beside_effort else ''}" if is_refused else ""
    )
    return sampling(request, rules_of(context.known_as), context, thinking=thinks, refusal=refusal)


def _stops(texts: list[str], context: PartContext, limit: int | None) -> Iterator[tuple[str, list[str]]]:
    if limit == 0:
        context.notice(
            notices.UNSUPPORTED_PARAMETER, "stop was left out: this model doesn't accept stop sequences", "stop"
        )
        return
    if limit is not None and len(texts) > limit:
        context.notice(notices.CHANGED_PARAMETER, f"only the first {limit} stop sequences were sent", "stop")
    yield "stop", texts[:limit]


def tools_of(
    request: ChatRequest, context: PartContext, declare: Callable[[Tool], dict[str, Any]], choice: Callable[[str], Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the tools and how they may be called; OpenAI refuses the latter without the former.

    ``declare(tool)`` makes a function's declaration, ``choice(word)`` says ``tool_choice`` in the wire's words.
    """
    if not request.tools and request.tool_choice is None and request.parallel_tool_calls is None:  # most requests
        return
    tools = encode_tools(request, context, declare)
    if tools:
        yield "tools", tools
    for i, tool in enumerate(request.tools):
        if isinstance(tool, Tool) and tool.cache:
            text = "cache was left out: the wire has no mark for it on tools"
            context.notice(notices.UNSUPPORTED_PARAMETER, text, f"tools[{i}].cache")
    for name in ("tool_choice", "parallel_tool_calls"):
        value = getattr(request, name)
        if value is not None and (tools or request.extra.get("tools")):
            yield name, choice(value) if name == "tool_choice" else value
        elif value is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, f"{name} was left out: the request has no tools", name)


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
        "strict": tool.strict,
    }
    return {"type": "function", "function": {key: value for key, value in function.items() if value not in ("", None)}}


def _choice(choice: str, request: ChatRequest, dialect: Dialect) -> Any:
    """Return the choice in the wire's words; a tool is named by its type, a vendor's own tool by its own."""
    if choice in ("auto", "none", "required"):
        return dialect.required if choice == "required" else choice
    blocks = [tool.block for tool in request.tools if isinstance(tool, VendorTool) and tool.name == choice]
    if not blocks:
        return {"type": "function", "function": {"name": choice}}
    kind = text_of(blocks[0].get("type"))
    name = (as_object(blocks[0].get(kind)) or {}).get("name")
    return {"type": kind, kind: {"name": name}} if name else {"type": kind}


def _format(response_format: str | JsonSchema, context: PartContext) -> dict[str, Any]:
    if isinstance(response_format, str):
        return {"type": "json_object"}
    schema = {
        "name": name_of(response_format, context),
        "schema": response_format.schema,
        "strict": response_format.strict,
    }
    return {"type": "json_schema", "json_schema": schema}


def json_mode_instruction(request: ChatRequest, context: PartContext, dialect: Dialect) -> str:
    """Return what to begin with where JSON mode wants its name in the prompt and nothing has it, "" elsewhere."""
    if request.response_format != "json" or not dialect.wire.needs_json_in_prompt or _says_json(request):
        return ""
    context.notice(
        notices.ADDED_TURN, f"{ASK_FOR_JSON!r} was added to the system's text: JSON mode needs that word", ""
    )
    return ASK_FOR_JSON


def _says_json(request: ChatRequest) -> bool:
    """Whether the system's text or the beginning of a conversation, which stay the same in all of it, have the word."""
    is_beginning = True
    for message in request.messages:
        if is_beginning or message.role is Role.SYSTEM:
            if any(isinstance(part, TextPart) and "json" in part.text.lower() for part in message.parts):
                return True
            is_beginning = is_beginning and message.role is not Role.USER
    return False


def name_of(schema: JsonSchema, context: PartContext) -> str:
    """Return a schema's name as servers take it, with a notice if that's another one."""
    name = (_NOT_NAME.sub("_", schema.name) or "schema")[:LONGEST_NAME]
    if name != schema.name:
        text = f"the schema's name was sent as {name!r}: servers take 64 letters, digits, _ and -"
        context.notice(notices.CHANGED_PARAMETER, text, "response_format")
    return name


def _effort(
    reasoning: int | str | None, context: PartContext, dialect: Dialect, *, has_tools: bool
) -> Iterator[tuple[str, Any]]:
    is_refused = has_tools and not dialect.tools_beside_effort and (reasoning is not None or dialect.reasons_unasked)
    if is_refused and reasoning != "none" and dialect.least_effort == "none":
        text = "the effort is 'none': the model takes tools beside reasoning on the Responses API alone"
        context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
        reasoning = "none"
    effort = encode_effort(reasoning, context, dialect)
    if effort is not None and dialect.reasoning_effort is not None:
        yield dialect.reasoning_effort, effort


def encode_effort(reasoning: int | str | None, context: PartContext, dialect: Dialect) -> str | None:
    """Return the effort to ask for, or None if none is wanted or the model takes none, which is noted."""
    if reasoning is None:
        return None
    if dialect.reasoning_effort is None:
        context.notice(notices.UNSUPPORTED_PARAMETER, "reasoning was left out: this model takes no effort", "reasoning")
        return None
    if reasoning == "none" != dialect.least_effort:
        text = f"the effort 'none' was sent as {dialect.least_effort!r}: the model always reasons"
        context.notice(notices.CHANGED_PARAMETER, text, "reasoning")
        return dialect.least_effort
    if isinstance(reasoning, str):
        return reasoning
    effort = effort_of(reasoning) if reasoning > 0 else dialect.least_effort
    context.notice(notices.CHANGED_PARAMETER, f"a budget of {reasoning} tokens was sent as {effort!r}", "reasoning")
    return effort
