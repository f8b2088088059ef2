"""A request with names and schemas that the vendor takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tako import notices
from tako.kit.families import rules_of
from tako.kit.schemas.adapted import adapted, changed
from tako.kit.schemas.limits import Budget
from tako.kit.schemas.property_names import property_forms, with_call, with_properties
from tako.kit.schemas.tool_names import renamed, wire_names
from tako.kit.schemas.wires import Wire
from tako.types import JsonSchema, Message, Role, Tool

if TYPE_CHECKING:
    from tako.kit.families import Rules
    from tako.kit.schemas.adapted import Adapted
    from tako.translator import PartContext
    from tako.types import ChatRequest, VendorTool

IN_WORDS = "Answer with JSON alone, without a code fence, that fits this JSON Schema:\n"
"""What a model is told that takes no schema, before the schema."""


class Asked(Struct, eq=False):
    """What one model takes over one wire; ``without`` is its name if it takes no schema of a reply, else ""."""

    wire: Wire
    without: str
    budget: Budget


def adapt(
    request: ChatRequest, context: PartContext, wire: Wire, model: str, rules: Rules | None = None
) -> ChatRequest:
    """Return a request whose tools' names and schemas, and whose reply's schema, are such as the vendor takes.

    What goes out in another form is noted. ``context.own_names`` has the tools' own names by those of the wire, so that
    the calls of a reply have them again (``chat_through`` and ``stream_through`` see to it). ``context.outgoing`` is
    the request that is returned. Call it first of all that encodes a request. ``rules`` are those of the model's
    family.
    """
    rules = rules or rules_of(model)
    changes: dict[str, Any] = {}
    forms = wire_names(request, wire.names) if wire.names is not None else {}
    if forms:
        changes = _with_names(request, forms, context, wire)
    takes = rules.schemas and (rules.converse.schemas or not wire.converse)
    asked = Asked(wire, "" if takes or wire.strict_tools is None else model, Budget(rules.strict))
    if request.response_format is not None:
        changes.update(_format(request, changes.get("messages", request.messages), context, asked))
    tools = changes.get("tools", request.tools)
    if tools:
        made = [_tool(tool, i, context, asked) for i, tool in enumerate(tools)]
        if rules.plain_properties:
            made, messages = _with_properties(made, changes.get("messages", request.messages), context)
            changes["messages"] = messages
        if made != [*tools]:
            changes["tools"] = made
    if changes:
        request = context.outgoing = replace(request, **changes)
    return request


def _with_names(request: ChatRequest, forms: dict[str, str], context: PartContext, wire: Wire) -> dict[str, Any]:
    context.own_names = {form: name for name, form in forms.items()}
    for i, tool in enumerate(request.tools):
        if isinstance(tool, Tool) and tool.name in forms:
            form = forms[tool.name]
            text = f"{tool.name!r} was sent as {form!r}, a name that {wire.vendor} accepts; calls come back with yours"
            context.notice(notices.RENAMED_TOOL, text, f"tools[{i}].name")
    choice = request.tool_choice
    named = any(tool.name == choice for tool in request.tools)
    return {
        "tools": [
            replace(tool, name=forms[tool.name]) if isinstance(tool, Tool) and tool.name in forms else tool
            for tool in request.tools
        ],
        "tool_choice": forms.get(choice, choice) if choice is not None and named else choice,
        "messages": renamed(request.messages, forms),
    }


def _with_properties(
    tools: list[Tool | VendorTool], messages: list[Message], context: PartContext
) -> tuple[list[Tool | VendorTool], list[Message]]:
    """Return tools whose properties have names that the model takes, and a conversation whose calls have them too."""
    forms: dict[str, dict[str, str]] = {}
    made = [*tools]
    for i, tool in enumerate(tools):
        if isinstance(tool, Tool) and (found := property_forms(tool.input_schema)):
            forms[tool.name] = found
            made[i] = replace(tool, input_schema=with_properties(tool.input_schema, found))
            own = context.own_names.get(tool.name, tool.name)
            context.own_properties[own] = {form: name for name, form in found.items()}
            text = f"properties went out under names that the model takes: {', '.join(map(repr, found))}"
            context.notice(notices.CHANGED_SCHEMA, text, f"tools[{i}].input_schema")
    if not forms:
        return tools, messages
    return made, [
        message
        if isinstance(message.content, str)
        else replace(message, content=[with_call(part, forms) for part in message.content])
        for message in messages
    ]


def _tool(tool: Tool | VendorTool, i: int, context: PartContext, asked: Asked) -> Tool | VendorTool:
    """Return a tool with a schema that fits, strict if the schema can be."""
    if not isinstance(tool, Tool):
        return tool
    wire, without = asked.wire, asked.without
    if tool.strict and wire.strict_tools is not None:
        found = adapted(tool.input_schema, wire.strict_tools)
        unfit = f"the schema doesn't fit, {found.unfit}" if found.unfit else ""
        unfit = f"{without} takes no strict tools" if without else unfit or asked.budget.refuses(found.schema)
        if not unfit:
            return _noted(tool, found, i, context, wire)
        text = f"strict was left out: {unfit}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, f"tools[{i}].strict")
        tool = replace(tool, strict=False)
    loose = changed(tool.input_schema, wire.tools)
    return tool if loose is None else _noted(tool, loose, i, context, wire)


def _noted(tool: Tool, found: Adapted, i: int, context: PartContext, wire: Wire) -> Tool:
    _note(found, f"tools[{i}].input_schema", context, wire)
    return tool if found.schema is tool.input_schema else replace(tool, input_schema=found.schema)


def _note(found: Adapted, path: str, context: PartContext, wire: Wire) -> None:
    if found.unfit:
        text = f"the schema was sent as it is: {found.unfit}"
        context.notice(notices.CHANGED_SCHEMA, text, path)
    if found.losses:
        text = f"the schema lost what {wire.vendor} doesn't take: {', '.join(found.losses)}"
        context.notice(notices.LOOSENED_SCHEMA, text, path)
    if found.changes:
        text = f"the schema was changed for {wire.vendor}: {', '.join(found.changes)}"
        context.notice(notices.CHANGED_SCHEMA, text, path)


def _format(request: ChatRequest, messages: list[Message], context: PartContext, asked: Asked) -> dict[str, Any]:
    """Return what changes of the request so that the reply has the form that is asked for."""
    wanted = request.response_format
    if not isinstance(wanted, JsonSchema):
        return {}
    wire = asked.wire
    if asked.without:
        return _in_words(wanted, messages, context, wire, f"{asked.without} takes no schema")
    loose = wire.loose_output
    found = adapted(wanted.schema, wire.output if wanted.strict or loose is None else loose)
    if found.unfit and wanted.strict and loose is not None and not (last := adapted(wanted.schema, loose)).unfit:
        text = f"strict was left out: the schema doesn't fit, {found.unfit}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format.strict")
        found, wanted = last, replace(wanted, strict=False)
    if not found.unfit and (refusal := asked.budget.refuses(found.schema, tool=False)):
        return _in_words(wanted, messages, context, wire, refusal)
    if found.unfit:
        return _in_words(wanted, messages, context, wire, f"{wire.vendor} doesn't take the schema, {found.unfit}")
    _note(found, "response_format.schema", context, wire)
    return {"response_format": replace(wanted, schema=found.schema)}


def _in_words(
    wanted: JsonSchema, messages: list[Message], context: PartContext, wire: Wire, why: str
) -> dict[str, Any]:
    """Put the schema into the system's text, and ask for JSON if the vendor has a mode for it."""
    is_object = wanted.schema.get("type") == "object"
    form = "json" if wire.json_mode and is_object else None
    how = "in the system's text, beside JSON mode" if form else "in the system's text alone"
    context.notice(notices.CHANGED_PARAMETER, f"the schema of the reply was sent {how}: {why}", "response_format")
    text = IN_WORDS + msgspec.json.encode(wanted.schema).decode()
    first = next((i for i, message in enumerate(messages) if message.role is not Role.SYSTEM), len(messages))
    told = [*messages[:first], Message.system(text), *messages[first:]]
    return {"response_format": form, "messages": told}
