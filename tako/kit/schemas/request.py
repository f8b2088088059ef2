"""A request with names and schemas that the vendor takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tako import notices
from tako.kit.families import rules_of
from tako.kit.schemas.adapted import adapt_if_needed, adapt_schema
from tako.kit.schemas.limits import Budget
from tako.kit.schemas.property_names import property_forms, with_call, with_properties
from tako.kit.schemas.tool_names import wire_names, with_wire_names
from tako.kit.schemas.wires import Wire
from tako.types import JsonSchema, Message, Role, Tool

if TYPE_CHECKING:
    from tako.kit.families import Rules
    from tako.kit.schemas.adapted import AdaptedSchema
    from tako.translator import PartContext
    from tako.types import ChatRequest, VendorTool

SCHEMA_PROMPT = "Answer with JSON alone, without a code fence, that fits this JSON Schema:\n"
"""What a model is told that takes no schema, before the schema."""


class ModelLimits(Struct, eq=False):
    """What one model takes over one wire. ``model_without_schemas``: its name if it takes no reply schema, else ""."""

    wire: Wire
    model_without_schemas: str
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
    changes: dict[str, Any] = {}
    forms = wire_names(request, wire.names) if wire.names is not None else {}
    if forms:
        changes = _with_names(request, forms, context, wire)
    elif not request.tools and request.response_format is None:  # most requests
        return request
    rules = rules or rules_of(model)
    accepts_schemas = rules.schemas and (rules.converse.schemas or not wire.is_converse)
    limits = ModelLimits(wire, "" if accepts_schemas or wire.strict_tools is None else model, Budget(rules.strict))
    if request.response_format is not None:
        changes.update(_format(request, changes.get("messages", request.messages), context, limits))
    tools = changes.get("tools", request.tools)
    if tools:
        adapted_tools = [_tool(tool, i, context, limits) for i, tool in enumerate(tools)]
        if rules.plain_properties:
            adapted_tools, messages = _with_properties(
                adapted_tools, changes.get("messages", request.messages), context
            )
            changes["messages"] = messages
        if adapted_tools != [*tools]:
            changes["tools"] = adapted_tools
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
    is_a_tool = any(tool.name == choice for tool in request.tools)
    return {
        "tools": [
            replace(tool, name=forms[tool.name]) if isinstance(tool, Tool) and tool.name in forms else tool
            for tool in request.tools
        ],
        "tool_choice": forms.get(choice, choice) if choice is not None and is_a_tool else choice,
        "messages": with_wire_names(request.messages, forms),
    }


def _with_properties(
    tools: list[Tool | VendorTool], messages: list[Message], context: PartContext
) -> tuple[list[Tool | VendorTool], list[Message]]:
    """Return tools whose properties have names that the model takes, and a conversation whose calls have them too."""
    forms: dict[str, dict[str, str]] = {}
    renamed = [*tools]
    for i, tool in enumerate(tools):
        if isinstance(tool, Tool) and (forms_of_tool := property_forms(tool.input_schema)):
            forms[tool.name] = forms_of_tool
            renamed[i] = replace(tool, input_schema=with_properties(tool.input_schema, forms_of_tool))
            own_name = context.own_names.get(tool.name, tool.name)
            context.own_properties[own_name] = {form: name for name, form in forms_of_tool.items()}
            text = f"properties went out under names that the model takes: {', '.join(map(repr, forms_of_tool))}"
            context.notice(notices.CHANGED_SCHEMA, text, f"tools[{i}].input_schema")
    if not forms:
        return tools, messages
    return renamed, [
        message
        if isinstance(message.content, str)
        else replace(message, content=[with_call(part, forms) for part in message.content])
        for message in messages
    ]


def _tool(tool: Tool | VendorTool, i: int, context: PartContext, limits: ModelLimits) -> Tool | VendorTool:
    """Return a tool with a schema that fits, strict if the schema can be."""
    if not isinstance(tool, Tool):
        return tool
    wire, model_without_schemas = limits.wire, limits.model_without_schemas
    if tool.strict and wire.strict_tools is not None:
        adapted = adapt_schema(tool.input_schema, wire.strict_tools)
        reason = f"the schema doesn't fit, {adapted.reason_unfit}" if adapted.reason_unfit else ""
        reason = (
            f"{model_without_schemas} takes no strict tools"
            if model_without_schemas
            else reason or limits.budget.refusal(adapted.schema)
        )
        if not reason:
            return _with_schema(tool, adapted, i, context, wire)
        text = f"strict was left out: {reason}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, f"tools[{i}].strict")
        tool = replace(tool, strict=False)
    adapted_loosely = adapt_if_needed(tool.input_schema, wire.tools)
    return tool if adapted_loosely is None else _with_schema(tool, adapted_loosely, i, context, wire)


def _with_schema(tool: Tool, adapted: AdaptedSchema, i: int, context: PartContext, wire: Wire) -> Tool:
    _note_changes(adapted, f"tools[{i}].input_schema", context, wire)
    return tool if adapted.schema is tool.input_schema else replace(tool, input_schema=adapted.schema)


def _note_changes(adapted: AdaptedSchema, path: str, context: PartContext, wire: Wire) -> None:
    if adapted.reason_unfit:
        text = f"the schema was sent as it is: {adapted.reason_unfit}"
        context.notice(notices.CHANGED_SCHEMA, text, path)
    if adapted.losses:
        text = f"the schema lost what {wire.vendor} doesn't take: {', '.join(adapted.losses)}"
        context.notice(notices.LOOSENED_SCHEMA, text, path)
    if adapted.changes:
        text = f"the schema was changed for {wire.vendor}: {', '.join(adapted.changes)}"
        context.notice(notices.CHANGED_SCHEMA, text, path)


def _format(request: ChatRequest, messages: list[Message], context: PartContext, limits: ModelLimits) -> dict[str, Any]:
    """Return what changes of the request so that the reply has the form that is asked for."""
    response_format = request.response_format
    if not isinstance(response_format, JsonSchema):
        return {}
    wire = limits.wire
    if limits.model_without_schemas:
        return _schema_in_prompt(
            response_format, messages, context, wire, f"{limits.model_without_schemas} takes no schema"
        )
    loose_rules = wire.loose_output
    adapted = adapt_schema(
        response_format.schema, wire.output if response_format.strict or loose_rules is None else loose_rules
    )
    if (
        adapted.reason_unfit
        and response_format.strict
        and loose_rules is not None
        and not (adapted_loosely := adapt_schema(response_format.schema, loose_rules)).reason_unfit
    ):
        text = f"strict was left out: the schema doesn't fit, {adapted.reason_unfit}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format.strict")
        adapted, response_format = adapted_loosely, replace(response_format, strict=False)
    if not adapted.reason_unfit and (refusal := limits.budget.refusal(adapted.schema, tool=False)):
        return _schema_in_prompt(response_format, messages, context, wire, refusal)
    if adapted.reason_unfit:
        return _schema_in_prompt(
            response_format, messages, context, wire, f"{wire.vendor} doesn't take the schema, {adapted.reason_unfit}"
        )
    _note_changes(adapted, "response_format.schema", context, wire)
    return {"response_format": replace(response_format, schema=adapted.schema)}


def _schema_in_prompt(
    response_format: JsonSchema, messages: list[Message], context: PartContext, wire: Wire, reason: str
) -> dict[str, Any]:
    """Put the schema into the system's text, and ask for JSON if the vendor has a mode for it."""
    is_object = response_format.schema.get("type") == "object"
    mode = "json" if wire.json_mode and is_object else None
    where = "in the system's text, beside JSON mode" if mode else "in the system's text alone"
    context.notice(notices.CHANGED_PARAMETER, f"the schema of the reply was sent {where}: {reason}", "response_format")
    text = SCHEMA_PROMPT + msgspec.json.encode(response_format.schema).decode()
    first = next((i for i, message in enumerate(messages) if message.role is not Role.SYSTEM), len(messages))
    all_messages = [*messages[:first], Message.system(text), *messages[first:]]
    return {"response_format": mode, "messages": all_messages}
