"""From a request to JSON: parts become blocks, and blocks become bodies."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ConfigurationError, kind_of
from tako.extra import merge as merge  # noqa: PLC0414 - for authors of plugins, who look for it here
from tako.extra import merge_extra as merge_extra  # noqa: PLC0414
from tako.json_values import as_array, as_object
from tako.kit.blocks import has_only_spelling
from tako.parts import ContentPart, Part, ReasoningPart, TextPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tako.parts import VendorPart
    from tako.state import Origin
    from tako.translator import PartContext, Translator
    from tako.types import Message

LONG_STRING = 1024 * 1024
"""Characters from which on a string is long."""
_PLACEHOLDER = f"long-string-{token_hex(16)}"


def encode_parts(message: Message, i: int, translator: Translator, context: PartContext) -> Iterator[tuple[Part, Any]]:
    """Encode the parts of message ``i`` and pair each with its block; parts that have none are noted, never lost.

    While a pair is looked at, ``context.path`` is that part's: what is noted then is noted of it.
    """
    context.message = message
    context.encode = translator.encode
    for j, part in enumerate(message.parts):
        context.path = _path(i, j)
        noted_before = len(context.notices)
        block = translator.encode(part, context)
        if block is not None:
            yield part, block
        elif len(context.notices) == noted_before:
            context.notice(notices.UNSUPPORTED_PART, f"{kind_of(part)} was left out")


@lru_cache(1024)  # in each request they're the same, and writing numbers takes a while
def _path(i: int, j: int) -> str:
    return f"messages[{i}].content[{j}]"


def refuse_empty(messages: Sequence[Any], context: PartContext) -> None:
    """Raise ConfigurationError where nothing of a request is left to send: every vendor refuses that, less clearly.

    A strict request that lost something is left to the UnsupportedError that it gets anyway.
    """
    if messages or (context.request.strict and context.notices):
        return
    reasons = "; ".join([f"{notice.path}: {notice.message}" for notice in context.notices if notice.path])
    raise ConfigurationError(f"{context.provider} has nothing to send: {reasons or 'the messages are empty'}")


def note_system_as_user(system: Sequence[Any], context: PartContext) -> None:
    """Note that the system's text goes out as the user's turn, because there's no other and the wire needs one.

    Raises as ``refuse_empty`` does where there is no such text either.
    """
    refuse_empty(system, context)
    if system:
        text = "the system text was sent as a user message: the API needs one, and the request has none"
        context.notice(notices.CHANGED_PART, text, "messages")


def own_state(part: Part, context: PartContext) -> dict[str, Any]:
    """Return the fields of a part's state that go back to the vendor; another origin's are left out with a notice."""
    state = part.state
    if state is None or not state.data:
        return {}
    if context.accepts(part, state.origin):
        return state.data
    if not has_only_spelling(part):
        context.notice(notices.FOREIGN_STATE, f"state of {_name(state.origin)} was left out")
    return {}


def note_empty(part: TextPart, context: PartContext) -> None:
    """Note that a part without text was left out, or that the state of another origin was, if that is all it had."""
    noted_before = len(context.notices)
    own_state(part, context)
    if len(context.notices) == noted_before:
        context.notice(notices.EMPTY_TEXT, "an empty text was left out")


def is_foreign(part: ReasoningPart | VendorPart, context: PartContext) -> bool:
    """Whether a part is another origin's. If so, that's noted: only the vendor that made it gets it back."""
    if part.state is not None and context.accepts(part, part.state.origin):
        return False
    description = "reasoning" if isinstance(part, ReasoningPart) else f"a block {part.kind!r}"
    owner = _name(part.state.origin) if part.state is not None else "unknown origin"
    context.notice(notices.FOREIGN_STATE, f"{description} of {owner} was left out")
    return True


def complete(block: dict[str, Any], part: Part, context: PartContext) -> dict[str, Any]:
    """Return a part's whole block: its state under the encoded fields, its ``extra`` over them."""
    state = own_state(part, context)
    block = merge(state, block) if state else block
    return merge(block, part.extra) if part.extra else block


def encode_vendor_part(part: VendorPart, context: PartContext) -> dict[str, Any] | None:
    """Return the block of a vendor part as it came, or None with a notice if it's another vendor's."""
    if is_foreign(part, context):
        return None
    return merge(part.state.data, part.extra) if part.extra else part.state.data


def _name(origin: Origin) -> str:
    """Describe an origin for a notice."""
    model = f"{origin.provider}:{origin.model}" if origin.model else origin.provider or "unknown origin"
    return f"{model} at {origin.server}" if origin.server else model


RESULT_TYPES = ("text", "image", "image_url", "file", "file_url", "file_id")
"""The tags of the parts that a tool result may hold."""


def result_parts(part: ToolResultPart) -> list[Part] | None:
    """Return a tool result's parts if it's a part or a list of parts, or None if it's any other JSON value.

    A result that went through JSON has its parts as objects; they are recognised by their tags.
    """
    items: list[Any] | None = [part.result] if isinstance(part.result, ContentPart) else as_array(part.result)
    if not items:
        return None
    if all(isinstance(item, ContentPart) for item in items):
        return items
    if all((as_object(item) or {}).get("type") in RESULT_TYPES for item in items):
        with suppress(msgspec.ValidationError, RecursionError):
            return msgspec.convert(items, list[Part])
    return None


def encode_inner(
    parts: list[Part],
    context: PartContext,
    *,
    accepted: tuple[type[Part], ...],
    is_moved: Callable[[Any], bool] = lambda _: False,
) -> list[Any]:
    """Encode the parts inside a tool result, each by the whole translator; those that don't fit there are noted.

    ``moved(block)`` tells blocks that the wire has no place for in a result: they go out after it, which is noted.
    """
    path, inner = context.path, context.encode
    blocks: list[Any] = []
    for k, part in enumerate(parts):
        context.path = f"{path}.result[{k}]"
        noted_before = len(context.notices)
        block = inner(part, context) if inner is not None and isinstance(part, accepted) else None
        if block is not None:
            blocks.append(block)
            if is_moved(block):
                context.notice(notices.CHANGED_PART, "it was sent after the tool results, which can't contain it")
        elif len(context.notices) == noted_before:
            context.notice(notices.MISPLACED_PART, f"{kind_of(part)} can't be in a tool result")
    context.path = path
    return blocks


def encode(body: Any, *, large: bool = False) -> bytes:
    """Encode a body as JSON; raises ConfigurationError on values that JSON does not have.

    ``large``: there may be strings as long as images are. They are copied once then; msgspec's buffer grows to half as
    much again.
    """
    long_strings: list[str] = []
    try:
        encoded = msgspec.json.encode(_replace_long_strings(body, long_strings) if large else body)
    except RecursionError as error:
        raise ConfigurationError("a value in the request is nested too deeply") from error
    except (TypeError, ValueError, UnicodeError, OverflowError) as error:
        raise ConfigurationError(f"the request holds a value that JSON can't carry: {error}") from error
    if not long_strings:
        return encoded
    buffer = BytesIO()
    first, *other_pieces = encoded.split(_PLACEHOLDER.encode())
    buffer.write(first)
    for text, piece in zip(long_strings, other_pieces, strict=True):
        for start in range(0, len(text), LONG_STRING):
            buffer.write(text[start : start + LONG_STRING].encode())
        buffer.write(piece)
    return buffer.getvalue()


def _replace_long_strings(value: Any, long_strings: list[str]) -> Any:
    """Put a mark in the place of each long string that JSON has as it is; the body itself stays unchanged."""
    if isinstance(value, str):
        if len(value) < LONG_STRING or not (value.isascii() and value.isprintable()) or '"' in value or "\\" in value:
            return value
        long_strings.append(value)
        return _PLACEHOLDER
    if isinstance(value, dict):
        return {key: _replace_long_strings(inner, long_strings) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if isinstance(value, list):
        return [_replace_long_strings(inner, long_strings) for inner in value]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return value
