"""A complete reply, read by pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.errors import ResponseError
from tako.json_values import text_of
from tako.kit.body import decode_json, excerpt
from tako.kit.failures import Facts, facts_of
from tako.kit.finish_reasons import FINISH_REASONS
from tako.kit.hidden_errors import hidden_error
from tako.kit.ids import CallIds
from tako.kit.token_counts import note_odd_usage
from tako.parts import Part, ToolCallPart
from tako.types import ChatResponse, FinishReason, Message, Role, Usage
from tako_http_generic.content import ToolCallReader, content_blocks, reasoning_text
from tako_http_generic.pointers import PointerChoice
from tako_http_generic.request import requested_model
from tako_http_generic.settings import read_finish_reasons
from tako_http_generic.usage import UsageReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tako.kit.exchange import Exchange
    from tako.translator import PartContext, Translator
    from tako_http_generic import HttpGeneric
    from tako_http_generic.pointers import Pointers
    from tako_http_generic.settings import Options, ToolCalls

ANY = msgspec.json.Decoder()
DEFAULT_ERRORS = ["/error", "/errors"]
"""The pointers to errors without ``error_pointer``."""
DEFAULT_FINISH_REASONS: Mapping[str, FinishReason] = {
    **FINISH_REASONS,
    "error_toxic": FinishReason.CONTENT_FILTER,
    "error_limit": FinishReason.LENGTH,
}
"""The finish reasons of all vendors that tako knows, and Cohere's, in lower case."""
NO_TEXT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR)
"""Finish reasons of replies that may have no text."""


class ReplyReader:
    """The pointers into a reply, compiled. Streams use its finish reasons, usage and errors too."""

    def __init__(
        self,
        owner: str,
        options: Options,
        *,
        text: Pointers,
        usage: Pointers | None,
        finish_reason: Pointers | None,
        tool_calls: ToolCalls | str | None,
        error: Pointers | None,
    ) -> None:
        def compiled(option: str, pointers: Pointers | None) -> PointerChoice | None:
            return None if pointers is None else PointerChoice(pointers, f"{owner}: {option}")

        self.text = PointerChoice(text, f"{owner}: response_text_pointer")
        self.usage = compiled("usage_pointer", usage)
        self.finish_reason = compiled("finish_reason_pointer", finish_reason)
        self.reasoning = compiled("reasoning_pointer", options.get("reasoning_pointer"))
        self.id = compiled("id_pointer", options.get("id_pointer", "/id"))
        self.model = compiled("model_pointer", options.get("model_pointer", "/model"))
        self.tool_calls = ToolCallReader(tool_calls, f"{owner}: tool_calls") if tool_calls is not None else None
        self.error_pointers = error_pointers(error)
        self.error = PointerChoice(self.error_pointers, f"{owner}: error_pointer")
        self.usage_reader = UsageReader(options.get("usage_fields", {}), owner)
        finish_reasons = read_finish_reasons(options.get("finish_reasons", {}), owner)
        self.finish_reasons: dict[str, FinishReason] = {**DEFAULT_FINISH_REASONS, **finish_reasons}
        self.finish_from_calls = options.get("finish_from_calls", False)
        self._message = compiled("error_message_pointer", options.get("error_message_pointer"))
        self._code = compiled("error_code_pointer", options.get("error_code_pointer"))

    def facts(self, doc: Any, reported: Any = None) -> Facts:
        """Read an error; ``reported`` is the value at the error pointer if it has been read already."""
        error = reported or self.error.get(doc)
        is_default = error is None or self.error_pointers == DEFAULT_ERRORS
        facts = facts_of(doc if is_default or isinstance(error, bool) else error)
        message = text_of(self._message.get(doc)) if self._message is not None else ""
        code = self._code.get(doc) if self._code is not None else None
        codes = [str(code)] if isinstance(code, (str, int)) and code != "" else []
        return replace(facts, message=message or facts.message, codes=[*codes, *facts.codes])


def error_pointers(pointers: Pointers | None) -> Pointers:
    """Return the pointers to errors: a gateway with ``/error`` may list several errors in ``/errors``."""
    if pointers in (None, "/error"):
        return DEFAULT_ERRORS
    return [*pointers, "/errors"] if isinstance(pointers, (list, tuple)) and "/error" in pointers else pointers


def decode_reply(body: bytes, exchange: Exchange, provider: HttpGeneric, translator: Translator) -> ChatResponse:
    """Decode a reply. Raises ResponseError if it isn't one, and the error that it reports if it does."""
    doc = decode_json(body, ANY)
    reader = provider.reply_reader
    if reader.error.get(doc):
        raise provider.failure(reader.facts(doc), body=body.decode("utf-8", "replace"))
    context = exchange.context
    parts = [part for block in _blocks(doc, provider) if (part := translator.decode(block, context)) is not None]
    reason, vendor_reason = _finish_reason(doc, provider, parts, context)
    if not parts and reason not in NO_TEXT:
        problem = reader.text.problem(doc)
        if problem is not None and (facts := hidden_error(doc)) is not None:
            raise provider.failure(facts, body=body.decode("utf-8", "replace"))
        if problem is not None:
            raise ResponseError(
                f"response_text_pointer {problem}: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace")
            )
    counts = reader.usage.get(doc) if reader.usage is not None else None
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=reason,
        finish_word=vendor_reason,
        usage=note_odd_usage(reader.usage_reader.usage(counts), context) if counts is not None else Usage(),
        model=_text_at(reader.model, doc) or requested_model(exchange, provider),
        id=_text_at(reader.id, doc),
        notices=context.notices,
        raw=doc,
    )


def finish_reason(
    vendor_reason: Any, reasons: dict[str, FinishReason], *, has_calls: bool, finish_from_calls: bool
) -> FinishReason:
    """Return the finish reason of a vendor's; without one, calls mean TOOL_CALLS."""
    if not isinstance(vendor_reason, str) or not vendor_reason:
        return FinishReason.TOOL_CALLS if has_calls else FinishReason.OTHER
    reason = reasons.get(vendor_reason) or reasons.get(vendor_reason.lower(), FinishReason.OTHER)
    return FinishReason.TOOL_CALLS if finish_from_calls and has_calls and reason is FinishReason.STOP else reason


def _blocks(doc: Any, provider: HttpGeneric) -> Iterator[dict[str, Any]]:
    reader = provider.reply_reader
    content = list(content_blocks(reader.text.get(doc), "response_text_pointer"))
    if reader.reasoning is not None and all(block["type"] != "reasoning" for block in content):
        reasoning = reasoning_text(reader.reasoning.get(doc))
        if reasoning:
            yield {"type": "reasoning", "text": reasoning, "state": {}}
    yield from content
    ids = CallIds()
    calls = reader.tool_calls
    for call in calls.read(calls.pointer.get(doc)) if calls is not None else ():
        function = {"name": call.name, "arguments": call.arguments}
        yield {"type": "function", "id": ids.unique(call.id), "function": function}


def _finish_reason(
    doc: Any, provider: HttpGeneric, parts: list[Part], context: PartContext
) -> tuple[FinishReason, str]:
    """Return the finish reason, and the vendor's name for it."""
    reader = provider.reply_reader
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    if reader.finish_reason is None:  # the endpoint doesn't send one
        return (FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP), ""
    vendor_reason = text_of(reader.finish_reason.get(doc))
    reason = finish_reason(
        vendor_reason, reader.finish_reasons, has_calls=has_calls, finish_from_calls=reader.finish_from_calls
    )
    if not (vendor_reason or has_calls):
        context.notice(notices.FINISH_MISSING, "the reply has no finish reason", "")
    return reason, vendor_reason


def _text_at(pointers: PointerChoice | None, doc: Any) -> str:
    return text_of(pointers.get(doc)) if pointers is not None else ""
