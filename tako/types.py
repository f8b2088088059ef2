"""What goes into a model and what comes out: messages, requests, responses, and the chunks of a stream.

All values are frozen msgspec Structs. They compare by value, can be pickled, and go through ``msgspec.json`` and back.
tako doesn't copy the lists and dicts in them, so treat those as read-only. Unknown fields are ignored when a value is
read: every version of tako reads what the versions before and after it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from tako.declarations import JsonSchema, Tool, ToolSchema, VendorTool
from tako.hidden_dict import HiddenDict
from tako.parts import (
    Citation,
    ContentPart,
    FileIdPart,
    FilePart,
    FileUrlPart,
    ImagePart,
    ImageUrlPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tako.state import Origin, State
from tako.usage import Cost, Usage
from tako.value import Value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


class Role(StrEnum):
    """Who wrote a message.

    Attributes:
        SYSTEM: Your instructions.
        USER: The user.
        ASSISTANT: The model.
        TOOL: Results of tool calls.
    """

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
    """Why a reply ended.

    Attributes:
        STOP: The model finished, or reached one of your ``stop`` texts.
        LENGTH: The reply reached ``max_tokens`` or the model's limit.
        TOOL_CALLS: The model calls tools and waits for their results.
        CONTENT_FILTER: The vendor's content filter stopped the reply.
        PAUSE: The vendor paused a long reply. Send the same conversation with this reply, and the model continues.
        ERROR: The vendor says that the reply failed.
        OTHER: Any other reason, or none. ``finish_word`` has the vendor's word for it.
    """

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"
    ERROR = "error"
    OTHER = "other"


class Message(Value, Struct, frozen=True, dict=True):
    """One turn of a conversation.

    Attributes:
        role: Who wrote it. A plain text such as "user" becomes a Role.
        content: A text, or a list of parts.
    """

    role: Role
    content: str | list[Part]

    def __post_init__(self) -> None:
        """Turn a plain text into a Role. An unknown role is an error later, when the request is checked."""
        if self.role.__class__ is not Role and isinstance(self.role, str) and self.role in _ROLES:
            force_setattr(self, "role", _ROLES[self.role])

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the value that was read from the text, too."""
        copied = replace(self, content=deepcopy(self.content, memo))
        vars(copied).update(deepcopy(vars(self), memo))
        return copied

    @property
    def parts(self) -> list[Part]:
        """The content as a list of parts, even if it was a text."""
        return [TextPart(self.content)] if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join([part.text for part in self.content if isinstance(part, TextPart)])

    @classmethod
    def system(cls, text: str | list[Part]) -> Message:
        """Make an instruction to the model, from a text or a list of parts."""
        return cls(Role.SYSTEM, text)

    @classmethod
    def user(cls, text: str | list[Part]) -> Message:
        """Make a turn of the user, from a text or a list of parts."""
        return cls(Role.USER, text)

    @classmethod
    def assistant(cls, text: str | list[Part]) -> Message:
        """Make a turn of the model, from a text or a list of parts."""
        return cls(Role.ASSISTANT, text)

    @classmethod
    def tool(cls, id: str, result: Any, *, is_error: bool = False) -> Message:
        """Make the result of the tool call with this id. The result is any JSON value, or a list of parts."""
        return cls(Role.TOOL, [ToolResultPart(id, result, is_error)])


class ChatRequest(Value, Struct, frozen=True):
    """A request to a model. If a field is None, empty or False, the provider decides.

    Attributes:
        messages: The conversation so far, ending with the turn that the model should answer.
        model: Another model of the same provider, for this request.
        tools: The tools that the model may call.
        tool_choice: "auto", "none", "required", or the name of the tool that the model must call.
        parallel_tool_calls: Whether one reply may have several tool calls.
        temperature: How random the reply is. Vendors take 0 to 1, or 0 to 2.
        top_p: The share of probability that tokens are sampled from, 0 to 1.
        max_tokens: The most tokens that the model may generate.
        stop: Texts at which the reply ends.
        seed: Makes replies repeatable, with vendors that support it.
        response_format: "json", or a JsonSchema that the reply must match.
        reasoning: How much the model reasons: an effort from "none" to "max", or a budget in tokens.
        metadata: Texts for the vendor's logs.
        extra: More fields of the vendor's request body, merged in last. Objects merge. The lists ``tools``, ``include``
            and ``betas`` are appended to. Everything else is replaced.
        strict: Raise an UnsupportedError before sending if the provider can't send all of the request. Otherwise the
            response has a notice.
        timeout: The longest silence, in seconds.
        deadline: The most time for the whole call with its retries, in seconds.
        headers: HTTP headers for this request, merged over the provider's. Never shown, compared or stored.
        context: Data for your plugins. Never sent, shown, compared or stored.
    """

    messages: list[Message]
    model: str | None = None
    tools: Sequence[Tool | VendorTool] = []
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
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
    timeout: float | None = None
    deadline: float | None = None
    headers: dict[str, str] = {}
    context: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Make a list of the tools; keep headers and context out of reprs, JSON and pickles."""
        if isinstance(self.tools, tuple):
            force_setattr(self, "tools", [*self.tools])
        for name, value in (("headers", self.headers), ("context", self.context)):
            if value.__class__ is not HiddenDict and isinstance(value, dict):  # isinstance asks Private's metaclass
                force_setattr(self, name, HiddenDict(value))


class Notice(Value, Struct, frozen=True):
    """A part of the request that the provider couldn't send as it was, or something odd in the reply.

    Attributes:
        code: A stable name for the kind of notice, such as "tools_dropped". The Notices page lists them.
        message: What happened, in one line.
        path: The part of the request or reply that it's about, such as ``messages[0].content[2]``.
        provider: The name of the provider that added it.
    """

    code: str
    message: str
    path: str = ""
    provider: str = ""


class ChatResponse(Value, Struct, Generic[T_co], frozen=True):
    """A reply.

    Attributes:
        message: The model's turn with all its parts. Put it into the next request unchanged.
        finish_reason: Why the reply ended.
        usage: The tokens that it used.
        model: The model that answered, as the vendor names it.
        id: The vendor's id of the reply.
        provider: The id of the provider that answered, with the model that you requested: "openai:gpt-6.2-sol".
        finish_word: The vendor's own word for the finish reason, "" if there was none.
        notices: What couldn't be sent as it was, and what was odd in the reply.
        raw: The vendor's reply, decoded from JSON. For a stream: what the other fields don't have of it.
        cost: The price in US dollars, or None if a price that it needs isn't known.
    """

    message: Message
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage = Usage()
    model: str = ""
    id: str = ""
    provider: str = ""
    finish_word: str = ""
    notices: list[Notice] = []
    raw: Any = None
    cost: Cost | None = None

    @property
    def text(self) -> str:
        """All text of the reply, joined. "" if there isn't one."""
        return self.message.text

    @property
    def parsed(self) -> T_co:
        """The value of your ``response_type``, or None if you gave none. JSON and pickles don't keep it."""
        value: Any = vars(self.message).get("parsed")  # kept there, so that copies of a response have it, too
        return value  # type: ignore[no-any-return]  # it was read into that type

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The tool calls of the reply, in order."""
        return [part for part in self.message.parts if isinstance(part, ToolCallPart)]

    @property
    def reasoning(self) -> str:
        """The model's reasoning, joined. "" if there isn't one."""
        return "".join([part.text for part in self.message.parts if isinstance(part, ReasoningPart)])

    @property
    def citations(self) -> list[Citation]:
        """The sources of all text parts, in order. ``start`` and ``end`` count within the part that cites."""
        return [citation for part in self.message.parts if isinstance(part, TextPart) for citation in part.citations]

    @property
    def images(self) -> list[ImagePart | ImageUrlPart]:
        """The images that the model made, in order."""
        return [part for part in self.message.parts if isinstance(part, (ImagePart, ImageUrlPart))]

    @property
    def files(self) -> list[FilePart | FileUrlPart | FileIdPart]:
        """The audio and the files that the model made, in order."""
        return [part for part in self.message.parts if isinstance(part, (FilePart, FileUrlPart, FileIdPart))]

    @property
    def refusal(self) -> str | None:
        """The text of a refusal by the model or the vendor's filter. "" if it has none, None without a refusal."""
        refusals = [part.text for part in self.message.parts if isinstance(part, TextPart) and part.refusal]
        if refusals:
            return "".join(refusals)
        return self.text if self.finish_reason is FinishReason.CONTENT_FILTER else None


def parsed_as(response: ChatResponse, value: Any) -> ChatResponse:
    """Return the response with its text's value as ``parsed``."""
    message = replace(response.message)  # a plugin may give the same one to others
    vars(message)["parsed"] = value
    return replace(response, message=message)


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A piece of a tool call in a stream.

    Attributes:
        index: Which call it belongs to, from 0.
        id: The call's id, in its first piece.
        name: The tool's name, in the call's first piece.
        arguments_fragment: The next piece of the arguments' JSON text.
        state: What the vendor wants back with the call. The last one counts.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments_fragment: str = ""
    state: State | None = None


class Delta(Struct, frozen=True, gc=False, tag_field="kind", tag="delta"):
    """A piece of a streamed reply. It has at most one of ``text``, ``reasoning`` and ``part``, maybe beside ``audio``.

    Attributes:
        kind: "delta".
        text: The next piece of text.
        reasoning: The next piece of the model's reasoning.
        tool_calls: Pieces of tool calls.
        part: A whole part.
        citations: Sources of the text before them.
        state: What the vendor wants back with the open text or reasoning, which ends here. ``tako.state.BLOCK_END``
            only ends it. If nothing is open, it's the state of a reasoning without text.
        refusal: The text is a refusal.
        audio: The next piece of a sound: its type, and base64 that can be decoded alone. In the reply, the pieces are
            one ``FilePart``. The text that is open stays open, since spoken words come as text between the pieces.
    """

    kind: ClassVar[Literal["delta"]] = "delta"
    text: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] = []
    part: Part | None = None
    citations: tuple[Citation, ...] = ()
    state: State | None = None
    refusal: bool = False
    audio: FilePart | None = None


class End(Struct, frozen=True, tag_field="kind", tag="end"):
    """The last chunk of a stream. Its fields are those of ChatResponse, except for the message.

    Attributes:
        kind: "end".
        finish_reason: Why the reply ended.
        usage: The tokens that it used.
        model: The model that answered, as the vendor names it.
        id: The vendor's id of the reply.
        provider: The id of the provider that answered.
        finish_word: The vendor's own word for the finish reason, "" if there was none.
        notices: What couldn't be sent as it was, and what was odd in the reply.
        raw: What the other fields don't have of the vendor's reply.
        cost: The price in US dollars, or None if a price that it needs isn't known.
    """

    kind: ClassVar[Literal["end"]] = "end"
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage = Usage()
    model: str = ""
    id: str = ""
    provider: str = ""
    finish_word: str = ""
    notices: list[Notice] = []
    raw: Any = None
    cost: Cost | None = None


ChatChunk = Delta | End
"""One item of a stream. ``kind`` says which: "delta" or "end"."""
Chunk = ChatChunk

__all__ = [
    "ChatChunk",
    "ChatRequest",
    "ChatResponse",
    "Chunk",
    "Citation",
    "ContentPart",
    "Cost",
    "Delta",
    "End",
    "FinishReason",
    "JsonSchema",
    "Message",
    "Notice",
    "Origin",
    "Part",
    "Role",
    "State",
    "Tool",
    "ToolCallDelta",
    "ToolSchema",
    "Usage",
    "VendorTool",
]
