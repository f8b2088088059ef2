"""The vocabulary: what goes into a model and what comes out.

All values are frozen msgspec Structs: compared by value, picklable, and readable again from ``msgspec.json``. A list
inside one is the caller's own, so treat it as read-only. Unknown fields are ignored when a value is read, so that what
one version of tako wrote, the next (and the one before) can read.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Literal

from msgspec import Struct, field
from msgspec.structs import force_setattr

from tako.parts import ContentPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    System = SYSTEM
    User = USER
    Assistant = ASSISTANT
    Tool = TOOL


_ROLES: dict[str, Role] = {role.value: role for role in Role}


class FinishReason(StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    OTHER = "other"


class Message(Struct, frozen=True):
    """One turn: who speaks, and the parts of what is said. A plain string stands for one text part."""

    role: Role
    content: str | list[Part]

    def __post_init__(self) -> None:
        """Take the plain word for a role; one that is none is found when the request is checked."""
        if self.role.__class__ is not Role and isinstance(self.role, str) and self.role in _ROLES:
            force_setattr(self, "role", _ROLES[self.role])

    @property
    def parts(self) -> list[Part]:
        """The content as a list of parts, whichever way it was given."""
        return [TextPart(self.content)] if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join([part.text for part in self.content if isinstance(part, TextPart)])

    @classmethod
    def system(cls, text: str | list[Part]) -> Message:
        """Make an instruction to the model; ``text`` may be a list of parts, too."""
        return cls(Role.SYSTEM, text)

    @classmethod
    def user(cls, text: str | list[Part]) -> Message:
        """Make the user's turn; ``text`` may be a list of parts, too."""
        return cls(Role.USER, text)

    @classmethod
    def assistant(cls, text: str | list[Part]) -> Message:
        """Make the model's turn, as from an earlier reply; ``text`` may be a list of parts, too."""
        return cls(Role.ASSISTANT, text)

    @classmethod
    def tool(cls, id: str, result: Any, *, is_error: bool = False) -> Message:
        """Make the answer to the tool call of that id; ``result`` is any JSON value or a list of parts."""
        return cls(Role.TOOL, [ToolResultPart(id, result, is_error)])


class Tool(Struct, frozen=True):
    """A function that the model may call; ``input_schema`` is the JSON Schema of its arguments."""

    name: str
    description: str = ""
    input_schema: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


ToolSchema = Tool


class JsonSchema(Struct, frozen=True):
    """A schema that the reply's text must satisfy, as ``response_format``."""

    name: str
    schema: dict[str, Any]
    strict: bool = True


class ChatRequest(Struct, frozen=True):
    """What is asked of a model.

    ``tool_choice`` is "auto", "none", "required" or the name of one tool. ``reasoning`` is "low", "medium", "high" or a
    budget in tokens. ``response_format`` is "json" or a JsonSchema. ``extra`` is merged into the vendor's body last, so
    that it can say what tako has no word for. With ``strict`` whatever the provider cannot carry is an UnsupportedError
    before the network, instead of a Notice on the reply.
    """

    messages: list[Message]
    model: str | None = None
    tools: list[Tool] = []
    tool_choice: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: list[str] = []
    seed: int | None = None
    response_format: Literal["json"] | JsonSchema | None = None
    reasoning: int | str | None = None
    metadata: dict[str, str] = {}
    extra: dict[str, Any] = {}
    strict: bool = False


class Usage(Struct, frozen=True):
    """Tokens: the input counts all of the prompt, the output all that was generated; the others are parts of those."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class Cost(Struct, frozen=True):
    """What a reply cost, in US dollars, by kind of token; ``total`` is the sum."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.input + self.output + self.cached + self.cache_write

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
        )


class Notice(Struct, frozen=True):
    """Something of the request that the wire could not carry as it was, or of the reply that was odd.

    ``code`` is stable (see the table in the docs), ``path`` says where, as in ``messages[0].content[2]``.
    """

    code: str
    message: str
    path: str = ""
    provider: str = ""


class ChatResponse(Struct, frozen=True):
    """A whole reply.

    ``raw`` is the vendor's own body, decoded, of a call that was not streamed. ``cost`` is None where a price that it
    needs is not known.
    """

    message: Message
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage = Usage()
    model: str = ""
    id: str = ""
    notices: list[Notice] = []
    raw: Any = None
    cost: Cost | None = None

    @property
    def text(self) -> str:
        """The text of the reply, joined; "" where there is none."""
        return self.message.text

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls that the model asks for, in order."""
        return [part for part in self.message.parts if isinstance(part, ToolCallPart)]

    @property
    def reasoning(self) -> str:
        """The text of the model's reasoning, joined; "" where there is none."""
        return "".join([part.text for part in self.message.parts if isinstance(part, ReasoningPart)])


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A piece of a tool call: the first of an index has the id and the name, all have a fragment of the JSON text."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments_fragment: str = ""
    signature: str | None = None


class Delta(Struct, frozen=True, gc=False, tag_field="kind", tag="delta"):
    """A piece of the reply, at most one of text and reasoning in it.

    ``signature`` and ``data`` are opaque vendor state of the part that this text or reasoning belongs to (of a part of
    its own where both are absent); they end that part. The fold keeps them, so that they go back unchanged.
    """

    kind: ClassVar[Literal["delta"]] = "delta"
    text: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] = []
    signature: str | None = None
    data: dict[str, Any] | None = None


class End(Struct, frozen=True, tag_field="kind", tag="end"):
    """The one last chunk; it carries what a whole reply has beside its parts."""

    kind: ClassVar[Literal["end"]] = "end"
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage = Usage()
    model: str = ""
    id: str = ""
    notices: list[Notice] = []
    raw: Any = None


ChatChunk = Delta | End
"""One item of a stream, told apart by ``kind``."""
Chunk = ChatChunk

__all__ = [
    "ChatChunk",
    "ChatRequest",
    "ChatResponse",
    "Chunk",
    "ContentPart",
    "Cost",
    "Delta",
    "End",
    "FinishReason",
    "JsonSchema",
    "Message",
    "Notice",
    "Part",
    "Role",
    "Tool",
    "ToolCallDelta",
    "ToolSchema",
    "Usage",
]
