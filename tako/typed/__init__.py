"""Typed replies: the request has the schema of a type, and the reply is read into the type.

- `shapes` analyses types, `schemas` makes their JSON Schema, `reading` reads a whole reply, `partials` a stream.
- pydantic is only used if the caller has imported it.
"""

from __future__ import annotations

import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec.structs import replace

from tako import notices
from tako.errors import ConfigurationError, InvalidReplyError
from tako.parts import ReasoningPart, TextPart
from tako.pauses import add_earlier, chat_through_pauses, join_replies, stream_through_pauses
from tako.schema.nulls import without_added_nulls
from tako.stream import ChatStream
from tako.typed.partials import MISSING, PartialReader
from tako.typed.reading import MismatchError, read_text
from tako.typed.schemas import schema_of
from tako.typed.shapes import name_of, shape_of
from tako.types import Delta, FinishReason, JsonSchema, Message, Notice, Role, parsed_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tako.hookspecs import Chat, Stream
    from tako.provider import Provider
    from tako.typed.json_schemas import SchemaReader
    from tako.types import ChatRequest, ChatResponse, Chunk

T = TypeVar("T")

INSTRUCTIONS = (
    "Answer with one JSON value that fits this JSON Schema, and with nothing else: no explanation, no code fence.\n\n{}"
)
REPAIR = (
    "Your reply doesn't fit the format. The problem: {}\n\n"
    "Answer again, with one JSON value that fits this JSON Schema and nothing else:\n\n{}"
)
MAX_PROBLEM_LENGTH = 2000
"""The most characters of a problem that the model gets."""


class ReplyType:
    """A type that replies are read into. For a JsonSchema, they're checked JSON values."""

    def __init__(self, declared: Any) -> None:
        self.schema_reader = _schema_reader(declared)
        if self.schema_reader is not None:
            self.name, self.shape = self.schema_reader.name, self.schema_reader.shape
            self.schema, self.is_wrapped = self.schema_reader.schema, self.schema_reader.is_wrapped
        else:
            self.name, self.shape = name_of(declared), shape_of(declared)
            self.schema, self.is_wrapped = schema_of(self.shape)
        self.schema_text = json.dumps(self.schema.schema, ensure_ascii=False)

    def add_schema(self, request: ChatRequest, provider: Provider) -> ChatRequest:
        """Add the schema as ``response_format``, as instructions without JSON mode, or as both if that's unknown."""
        has_json_mode = provider.capabilities.supports_json_mode
        is_own_model = request.model in (None, provider.model)
        is_certain = is_own_model and (has_json_mode or "supports_json_mode" in provider.capability_origins())
        if (
            not (is_certain and has_json_mode) or request.tools
        ):  # some vendors don't support JSON mode together with tools
            first_turn = next((i for i, message in enumerate(request.messages) if message.role is not Role.SYSTEM), 0)
            instructions = Message.system(INSTRUCTIONS.format(self.schema_text))
            request = replace(
                request, messages=[*request.messages[:first_turn], instructions, *request.messages[first_turn:]]
            )
        return request if is_certain and not has_json_mode else replace(request, response_format=self.schema)

    def partials(self) -> Partials:
        """Return the reader of one stream."""
        return Partials(partial(PartialReader, self.shape, is_wrapped=self.is_wrapped))

    def read(self, response: ChatResponse, message: Message | None = None) -> Any:
        """Read a reply, or only this message of it. None if it calls tools. Raises InvalidReplyError."""
        if response.refusal is not None:
            raise self.invalid_reply(response, "refusal", f"the model refused: {response.refusal or '(no words)'}")
        if response.finish_reason is FinishReason.LENGTH:
            raise self.invalid_reply(response, "length", "the reply was cut at its longest length; raise max_tokens")
        if response.tool_calls:
            return None
        try:
            text = answer_text(message or response.message)
            if self.schema_reader is not None:
                return self.schema_reader.read(text)
            return read_text(self.shape, self._without_added_nulls(text), is_wrapped=self.is_wrapped)
        except MismatchError as error:
            raise self.invalid_reply(response, "mismatch", f"the reply doesn't fit {self.name}: {error}") from None

    def _without_added_nulls(self, text: str) -> str:
        """Remove nulls of fields with a default, since strict modes can't leave out a field."""
        if "null" not in text:
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):  # reading it raises the error
            return text
        cleared = without_added_nulls(value, self.schema.schema)
        return text if cleared == value else json.dumps(cleared)

    def invalid_reply(
        self, response: ChatResponse, reason: str, text: str, messages: Sequence[Message] = ()
    ) -> InvalidReplyError:
        """Make the error for a reply that can't be read."""
        name, _, model = response.provider.partition(":")  # a callable's id is a name alone
        facts: dict[str, Any] = {"provider": name, "model": model or None}
        return InvalidReplyError(text, response=response, reason=reason, messages=messages, **facts)

    def repair_turns(self, error: InvalidReplyError) -> list[Message]:
        """Return the turns that ask for the reply again."""
        problem = str(error.args[0])[:MAX_PROBLEM_LENGTH]
        reply = error.response.message if error.response.message.parts else Message.assistant("(nothing)")
        return [reply, Message.user(REPAIR.format(problem, self.schema_text))]


def answer_text(message: Message) -> str:
    """Return the text after the last part that isn't text. What a model writes before a search isn't its answer."""
    texts: list[str] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif not isinstance(part, ReasoningPart):
            texts.clear()
    return "".join(texts) or message.text


def _schema_reader(declared: Any) -> SchemaReader | None:
    if not isinstance(declared, JsonSchema):
        return None
    from tako.typed.json_schemas import SchemaReader

    return SchemaReader(declared)


class Partials:
    """The partial values of one stream, without repetitions."""

    def __init__(self, make_reader: Callable[[], PartialReader]) -> None:
        self._make_reader = make_reader
        self._reader = make_reader()
        self._last_value: Any = MISSING

    def feed(self, chunk: Chunk) -> list[Any]:
        """Return the value after a chunk, if the chunk changed it."""
        if not isinstance(chunk, Delta):
            return []
        if chunk.part is not None and not isinstance(chunk.part, (TextPart, ReasoningPart)):
            self._reader = self._make_reader()  # the answer comes after it
        value = self._reader.feed(chunk.text) if chunk.text else MISSING
        return [] if value is MISSING else self._if_changed(value)

    def end(self, response: ChatResponse) -> list[Any]:
        """Return the complete value, unless it's the same as the last one, or the reply calls tools."""
        return [] if response.tool_calls else self._if_changed(response.parsed)

    def _if_changed(self, value: Any) -> list[Any]:
        if self._last_value is not MISSING and _is_same(value, self._last_value):
            return []
        self._last_value = value
        return [value]


def _is_same(value: Any, other: Any) -> bool:
    """Compare two values. A class's own comparison may fail if fields are missing."""
    try:
        return bool(value == other)
    except Exception:  # noqa: BLE001 - the class's own code may raise anything
        return False


def reply_type_of(declared: Any) -> ReplyType:
    """Return the ReplyType of a type, from a cache. Raises ConfigurationError."""
    try:
        hash(declared)
    except TypeError:
        return ReplyType(declared)
    return _reply_type(declared)


_reply_type = lru_cache(256)(ReplyType)


async def ask(answer: Chat, request: ChatRequest, provider: Provider, declared: Any, repairs: int) -> ChatResponse:
    """Request a reply of a type, again with the errors if it doesn't fit. Usage and cost are those of all replies."""
    repairs_left = check_repairs(repairs)
    reply_type = reply_type_of(declared)
    request = reply_type.add_schema(request, provider)
    earlier: list[ChatResponse] = []
    while True:
        replies = await chat_through_pauses(answer, request)
        full_response = add_earlier(earlier, join_replies(replies))
        try:
            return parsed_as(full_response, reply_type.read(full_response, replies[-1].message))
        except InvalidReplyError as error:
            if error.reason != "mismatch" or not repairs_left:
                raise
            repairs_left -= 1
            request = replace(request, messages=[*request.messages, *reply_type.repair_turns(error)])
            earlier = [replace(full_response, notices=[*full_response.notices, repair_notice(error, provider)])]


def repair_notice(error: InvalidReplyError, provider: Provider) -> Notice:
    """Return the notice that a reply was asked for again."""
    return Notice(notices.REPAIRED_REPLY, f"the reply was asked for again: {error.args[0]}", "", provider.name)


def check_repairs(repairs: Any) -> int:
    """Check how often a reply may be requested again. Raises ConfigurationError."""
    if isinstance(repairs, bool) or not isinstance(repairs, int) or repairs < 0:
        raise ConfigurationError(f"repairs is {repairs!r}, not a number of calls, 0 or more")
    return repairs


def stream(chunks: Stream, request: ChatRequest, provider: Provider, declared: Any) -> TypedStream[Any]:
    """Stream a reply of a type. It's only requested once, since chunks that were shown can't be taken back."""
    reply_type = reply_type_of(declared)
    return TypedStream(stream_through_pauses(chunks), reply_type.add_schema(request, provider), provider, reply_type)


class TypedStream(ChatStream, Generic[T]):
    """A stream whose reply is read into your ``response_type``."""

    def __init__(self, chunks: Stream, request: ChatRequest, provider: Provider, reply_type: ReplyType) -> None:
        super().__init__(chunks, request, provider)
        self.reply_type = reply_type

    @property
    def partials(self) -> AsyncIterator[T]:
        """The value as it grows. Fields that haven't come yet have their default, or None. The last value is complete.

        Texts may still grow; every other value in it is final. Raises InvalidReplyError at the end if the reply doesn't
        fit.
        """
        return self._partials()

    async def _partials(self) -> AsyncIterator[T]:
        partials = self.reply_type.partials()
        async for chunk in self:
            for value in partials.feed(chunk):
                yield value
        for value in partials.end(await self.response()):
            yield value

    async def response(self) -> ChatResponse[T]:
        """Return the whole reply, read into the type. Raises InvalidReplyError if it doesn't fit."""
        response = await super().response()
        return parsed_as(response, self.reply_type.read(response))
