"""The vocabulary: what goes into a model and what comes out.

All values are frozen msgspec Structs: compared by value, picklable, and readable again from ``msgspec.json``. A list
inside one is the caller's own, so treat it as read-only. Unknown fields are ignored when a value is read, so that what
one version of tako wrote, the next (and the one before) can read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

from msgspec import Struct, field
from msgspec.structs import force_setattr, replace

from tako.loose import text_of
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
from tako.private import Private
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
    """Why a reply ended. PAUSE: send the same conversation again, the reply included, and the model goes on."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"
    ERROR = "error"
    OTHER = "other"


class Message(Value, Struct, frozen=True):
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


class Tool(Struct, frozen=True, dict=True, tag_field="kind", tag="function"):
    """A function that the model may call; ``input_schema`` is the JSON Schema of its arguments.

    ``strict``: whether the vendor must hold the arguments to the schema, None for the vendor's default. ``cache``: mark
    the end of a prefix that the vendor caches, True or how long ("5m", "1h"). ``extra`` is merged into the vendor's
    declaration last.
    """

    name: str
    description: str = ""
    input_schema: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    cache: bool | str = False
    extra: dict[str, Any] = {}

    @staticmethod
    def of(
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
        cache: bool | str = False,
    ) -> Tool:
        """Make a tool of a function: its name, docstring and annotations say what the model needs to know.

        ``provider.run`` calls it. JSON and pickles have the declaration alone. Raises ConfigurationError if a parameter
        has a type that JSON can't be read into.
        """
        from tako.tools import tool_of

        return tool_of(function, name=name, description=description, strict=strict, cache=cache)

    @staticmethod
    def vendor(provider: str, block: dict[str, Any]) -> VendorTool:
        """Make a tool that a vendor ("anthropic") runs itself, in that vendor's shape; no other vendor gets it."""
        return VendorTool(provider, block)


ToolSchema = Tool


class VendorTool(Struct, frozen=True, tag_field="kind", tag="vendor"):
    """A tool that one vendor runs on its side: web search, code execution. ``block`` is in the vendor's own shape."""

    provider: str
    block: dict[str, Any]

    @property
    def name(self) -> str:
        """The block's name, else its type; "" if it has neither."""
        return text_of(self.block.get("name")) or text_of(self.block.get("type"))

    @property
    def description(self) -> str:
        """What the vendor's shape says of it, usually nothing."""
        return text_of(self.block.get("description"))


class JsonSchema(Struct, frozen=True):
    """A schema that the reply's text must satisfy, as ``response_format``."""

    name: str
    schema: dict[str, Any]
    strict: bool = True


class ChatRequest(Value, Struct, frozen=True):
    """What you ask of a model. Fields that are None, empty or False leave the choice to the provider.

    - ``tool_choice``: "auto", "none", "required", or the name of one tool.
    - ``parallel_tool_calls``: whether one reply may hold several calls.
    - ``reasoning``: an effort ("none" to "max"), or a budget in tokens.
    - ``response_format``: "json" or a JsonSchema.
    - ``extra``: merged into the vendor's body last. Objects merge, the lists ``tools``, ``include`` and ``betas`` are
      appended to, everything else is replaced.
    - ``strict``: an UnsupportedError before the network, instead of a Notice, for what the provider can't send.
    - ``timeout`` (seconds of silence), ``deadline`` (seconds over all retries) and ``headers`` hold for this request.
    - ``context``: data for plugins. Like ``headers`` it's never encoded, shown or compared.
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
        """Keep headers and context out of all that is written down."""
        for name, value in (("headers", self.headers), ("context", self.context)):
            if value.__class__ is not Private and isinstance(value, dict):  # isinstance asks Private's metaclass
                force_setattr(self, name, Private(value))


class Notice(Value, Struct, frozen=True):
    """Something of the request that the wire could not carry as it was, or of the reply that was odd.

    ``code`` is stable (see the table in the docs), ``path`` says where, as in ``messages[0].content[2]``.
    """

    code: str
    message: str
    path: str = ""
    provider: str = ""


class ChatResponse(Value, Struct, Generic[T_co], frozen=True, dict=True):
    """A whole reply.

    - ``model``: the model as the vendor names it; ``provider``: who answered, as in "anthropic:claude-opus-5-5", with
      the model that was requested.
    - ``finish_word``: the vendor's own word for the finish reason, "" if it gave none.
    - ``raw``: the vendor's own body, decoded; of a stream, what the parts and the other fields don't have of it.
    - ``cost``: None if a price that it needs isn't known.
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
        """The text of the reply, joined; "" if there is none."""
        return self.message.text

    @property
    def parsed(self) -> T_co:
        """The value of the type that was asked for (``response_type``); None without one. JSON and pickles lose it."""
        value: Any = self.__dict__.get("parsed")
        return value  # type: ignore[no-any-return]  # it was read into that type

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls that the model asks for, in order."""
        return [part for part in self.message.parts if isinstance(part, ToolCallPart)]

    @property
    def reasoning(self) -> str:
        """The text of the model's reasoning, joined; "" if there is none."""
        return "".join([part.text for part in self.message.parts if isinstance(part, ReasoningPart)])

    @property
    def citations(self) -> list[Citation]:
        """The sources of all texts, in order. ``start`` and ``end`` count within the text part that cites."""
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
        """The text with which the model or the vendor's filter refused ("" if without words); None for an answer."""
        refusals = [part.text for part in self.message.parts if isinstance(part, TextPart) and part.refusal]
        if refusals:
            return "".join(refusals)
        return self.text if self.finish_reason is FinishReason.CONTENT_FILTER else None


def parsed_as(response: ChatResponse, value: Any) -> ChatResponse:
    """Return a response with the value that its text was read into."""
    made = replace(response)
    vars(made)["parsed"] = value
    return made


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A piece of a tool call: the first of an index has the id and the name, all have a fragment of the JSON text.

    ``state`` may come with any piece; the last one that came is the call's.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments_fragment: str = ""
    state: State | None = None


class Delta(Struct, frozen=True, gc=False, tag_field="kind", tag="delta"):
    """A piece of the reply, at most one of text, reasoning and ``part`` in it.

    ``part`` is a whole part, a block of its own. ``citations`` belong to the text that is open; alone, they belong to
    the last text. ``state`` ends the text or reasoning that is open, and is its state (``tako.state.BLOCK_END`` only
    ends it). If none is open, it's the state of a reasoning without text. ``refusal``: the text is the model's refusal.
    """

    kind: ClassVar[Literal["delta"]] = "delta"
    text: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] = []
    part: Part | None = None
    citations: tuple[Citation, ...] = ()
    state: State | None = None
    refusal: bool = False


class End(Struct, frozen=True, tag_field="kind", tag="end"):
    """The one last chunk; it carries what a whole reply has beside its message."""

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
"""One item of a stream, told apart by ``kind``."""
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
