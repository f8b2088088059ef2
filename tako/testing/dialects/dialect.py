"""What a dialect is: how a vendor's server writes what a script says, and reads what a client asks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from tako.testing.server import Received, Reply, Server, reply, serve
from tako.types import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from tako.testing.script import Script
    from tako.testing.server import Ending, Piece

    Answer = Script | Reply | Callable[[Received], "Script | Reply"]


class Seen(Struct, frozen=True):
    """Something of a request as it went over the wire.

    Attributes:
        kind: "text", "image", "image_url", "call", "result" or "reasoning".
        role: "system", "user" or "assistant".
        value: The text, the image as bare base64, the URL, a call's arguments as JSON, or a result's content.
        id: The id of a call, and of the call that a result answers. "" if the wire has no ids.
        name: The tool's name, of a call. Also of a result, if the wire has no ids.
        mime: The type of an image, if the wire tells it.
    """

    kind: str
    role: str
    value: Any
    id: str = ""
    name: str = ""
    mime: str = ""


class Asked(Struct, frozen=True):
    """A request, as your dialect reads it.

    Attributes:
        model: The model.
        parts: What the messages have, in the order of the wire.
        tools: The tools' schemas by their names.
        parameters: The parameters that were sent, by tako's names, such as "temperature" or "max_tokens".
    """

    model: str
    parts: list[Seen]
    tools: dict[str, Any] = {}
    parameters: dict[str, Any] = {}

    def of(self, kind: str) -> list[Seen]:
        """Return the parts of one kind."""
        return [part for part in self.parts if part.kind == kind]


class Dialect:
    """A wire. An author whose vendor speaks another one subclasses this, and gives an object of it to the suite.

    ``traits`` say what the wire has: "reasoning", "state" (opaque state that goes back), "cached", "cache_writes" and
    "reasoning_tokens" (counts), "argument_text" (arguments are text, in pieces), "call_ids", "names" (a reply says its
    model), "blocks" (a reply may have several texts, and kinds of blocks that nobody knows; ``unknown_mark`` stands in
    one), "bare_errors" (an error event has a message, and neither a code nor a status), "bytes" (replies are bytes
    though ``http`` is False, as those of a program are). ``words`` are the finish reasons that it knows.
    """

    name: ClassVar[str] = "author's own"
    content_type: ClassVar[str] = "text/event-stream"
    traits: ClassVar[frozenset[str]] = frozenset()
    words: ClassVar[Mapping[FinishReason, str]] = {}
    http: ClassVar[bool] = True
    unknown_mark: ClassVar[str] = "hologram-7f3a"

    def streams(self, request: Received) -> bool:
        """Whether the client asks for a stream."""
        return bool(request.json.get("stream"))

    def whole(self, script: Script) -> Any:
        """Return the JSON of a whole reply."""
        raise TypeError(f"{type(self).__name__} has no method whole(script)")

    def events(self, script: Script) -> list[bytes]:
        """Return the events of a streamed reply, each as it goes over the wire."""
        raise TypeError(f"{type(self).__name__} has no method events(script)")

    def complete_after(self, events: Sequence[bytes]) -> int:
        """Count the events after which the reply is complete, whatever follows."""
        return len(events)

    def refusal(self, status: int, message: str) -> Any:
        """Return the JSON of an error."""
        return {"error": {"message": message}}

    def refusal_headers(self, status: int) -> dict[str, str]:
        """Return the headers that an error has beside its body."""
        return {}

    def error_event(self, status: int, message: str) -> bytes:
        """Return the event that reports an error after status 200."""
        raise TypeError(f"{type(self).__name__} has no method error_event(status, message)")

    def read(self, request: Received) -> Asked:
        """Read a request."""
        raise TypeError(f"{type(self).__name__} has no method read(request)")

    # What is made of those.

    @property
    def of_bytes(self) -> bool:
        """Whether replies are bytes, which can be cut and split."""
        return self.http or "bytes" in self.traits

    def word(self, script: Script) -> str:
        """Return the vendor's word for how a reply ends."""
        return script.word if script.word is not None else self.words[script.ending]

    def counted(self, usage: Usage) -> Usage:
        """Return what of a usage this wire can say."""
        return Usage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens if "cached" in self.traits else 0,
            usage.cache_write_tokens if "cache_writes" in self.traits else 0,
            usage.reasoning_tokens if "reasoning_tokens" in self.traits else 0,
        )

    def pieces(self, body: Sequence[Piece], *, ending: Ending = "end", pause: float = 0.0) -> Reply:
        """Script a stream of these bytes."""
        return reply(body, headers={"content-type": self.content_type}, ending=ending, pause=pause)

    def stream(self, script: Script, *, ending: Ending = "end", pause: float = 0.0) -> Reply:
        """Script a streamed reply."""
        return self.pieces(self.events(script), ending=ending, pause=pause)

    def refuse(self, status: int, message: str = "no", headers: Mapping[str, str] | None = None) -> Reply:
        """Script an error."""
        all_headers = {**self.refusal_headers(status), **(headers or {})}
        return reply(json=self.refusal(status, message), status=status, headers=all_headers)

    def answer(self, answer: Answer) -> Callable[[Received], Reply]:
        """Make an answer that is whole or streamed, as the client asks."""

        def reply_to(request: Received) -> Reply:
            scripted = answer(request) if callable(answer) else answer
            if isinstance(scripted, Reply):
                return scripted
            return self.stream(scripted) if self.streams(request) else reply(json=self.whole(scripted))

        return reply_to

    @contextmanager
    def serve(self, *answers: Answer) -> Generator[Server, None, None]:
        """Run a server on loopback that gives these answers in turn, the last one for ever."""
        with serve(*[self.answer(answer) for answer in answers]) as server:
            yield server
