"""A provider, how it is asked, and what was said so far: of one question, or of a conversation."""

from __future__ import annotations

import re
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from tako.cli.attachments import write_media
from tako.cli.models import EMBEDDED
from tako.cli.run import complain
from tako.cli.screen import Screen, is_terminal, printable, waiting
from tako.types import ChatRequest, FinishReason, Message, Role, Usage

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from tako.cli.recorder import Recorder
    from tako.keywords import RequestOptions
    from tako.provider import Provider
    from tako.types import ChatResponse, Cost

PARAMETERS = ("temperature", "top_p", "max_tokens", "stop", "seed", "reasoning", "strict", "timeout")
"""Options of the command that go out with each request."""
BRIEF = "Be brief."
"""What the embedded model is told where nobody says otherwise: with its template's own instruction it rambles."""
FENCED = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<code>.*?)^ {0,3}(?P=fence)[`~]*[ \t]*$", re.MULTILINE | re.DOTALL
)
LONGEST = 200
"""Characters of a call, and of its result, that are shown."""


class Turn(NamedTuple):
    """What one question came to: its messages, the answer's among them, and what all of it used."""

    messages: list[Message]
    response: ChatResponse
    usage: Usage
    cost: Cost | None
    seconds: float = 0.0


class Session:
    """Asks one question after the other, and shows the answers.

    ``tools`` are functions that the model may call, as far as ``approve`` lets it; ``wanted`` is a type or a JsonSchema
    that answers are read into. ``recorder`` keeps the turns in the log.
    """

    def __init__(
        self,
        provider: Provider,
        options: Namespace,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        wanted: Any = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.provider = provider
        self.options = options
        self.system: str | None = options.system
        self.parameters = cast("RequestOptions", {name: getattr(options, name) for name in PARAMETERS})
        self.before: list[Message] = []
        self.turns: list[Turn] = []
        self._tools, self._wanted, self.recorder = tools, wanted, recorder

    @property
    def history(self) -> list[Message]:
        """What goes before the next question."""
        said = [*self.before, *(message for turn in self.turns for message in turn.messages)]
        system = BRIEF if self.system is None and self._is_small else self.system
        return [Message.system(system), *said] if system else said

    @property
    def _is_small(self) -> bool:
        """Whether the embedded model answers, of which only the likeliest words make sense."""
        return self.provider.name == EMBEDDED and self.provider.model == type(self.provider).from_id("").model

    async def ask(self, message: Message) -> ChatResponse:
        """Send a turn and show the answer; the history grows once it is whole."""
        request = ChatRequest([*self.history, message], temperature=0.0 if self._is_small else None)
        began = monotonic()
        if self.recorder is not None:
            self.recorder.begin()
        await self._load()
        turn = (await self._answered(request, message))._replace(seconds=monotonic() - began)
        self.turns.append(turn)
        if self.recorder is not None:
            self.recorder.keep(self.provider, turn, self.system)
        self._remark(turn)
        return turn.response

    def undo(self) -> bool:
        """Take the last turn back, from the log too; returns whether there was one."""
        questions = [at for at, message in enumerate(self.before) if message.role is Role.USER]
        if self.turns:
            self.turns.pop()
        elif questions:
            del self.before[questions[-1] :]
        else:
            return False
        if self.recorder is not None:
            self.recorder.undo()
        return True

    async def _load(self) -> None:
        """Load a model that runs in process, visibly."""
        load: Any = getattr(self.provider, "load", None)
        if load is not None:
            async with waiting(f"loading {self.provider.model}", always=True):
                await load()

    async def _answered(self, request: ChatRequest, message: Message) -> Turn:
        whole = not self.options.stream or self.options.json or self.options.extract or self._wanted is not None
        if self._tools:
            return await self._run(request, message, whole=whole)
        response = await (self._whole(request) if whole else self._streamed(request))
        return Turn([message, response.message], response, response.usage, response.cost)

    async def _whole(self, request: ChatRequest) -> ChatResponse:
        async with waiting(f"waiting for {self.provider.id}"):
            response = await self.provider.chat(request, response_type=self._wanted, **self.parameters)
        self._print(response)
        return response

    async def _streamed(self, request: ChatRequest) -> ChatResponse:
        async with self.provider.stream(request, **self.parameters) as stream:
            pieces = stream.text
            async with waiting(f"waiting for {self.provider.id}"):
                first = await anext(pieces, "")
            with Screen() as screen:
                screen.add(first)
                async for text in pieces:
                    screen.add(text)
            return await stream.response()

    async def _run(self, request: ChatRequest, message: Message, *, whole: bool) -> Turn:
        """Let the model call tools until it answers."""
        from tako.cli.approval import Approval

        given: RequestOptions = {**self.parameters, "tools": self._tools}
        approve = Approval(self.options.yes)
        run = self.provider.run(request, response_type=self._wanted, approve=approve, **given)
        screen: Screen | None = None
        try:
            async for event in run.stream():
                if event.kind == "delta" and event.text and not whole:
                    screen = screen or Screen().__enter__()
                    screen.add(event.text)
                elif event.kind == "round_end" and screen is not None:
                    screen.__exit__(None)
                    screen = None
                elif event.kind == "tool_end":
                    complain(f"tako: {shown_call(event.call.name, event.call.args)} -> {_shown(event.result.result)}")
        finally:
            if screen is not None:
                screen.__exit__(*sys.exc_info())
        result = await run
        if whole:
            self._print(result.response)
        said = result.messages[len(request.messages) - 1 :]
        return Turn([message, *said[1:]], result.response, result.usage, result.cost)

    def _print(self, response: ChatResponse) -> None:
        """Print a whole answer."""
        if self.options.json:
            print_json(response)
        elif self._wanted is not None:
            print_json(response.parsed)
        elif self.options.extract:
            code = last_block(response.text)
            if code is None:
                complain("tako: the answer has no code block, so all of it is shown")
            text = response.text if code is None else code
            sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
            sys.stdout.write("" if text.endswith("\n") else "\n")
            sys.stdout.flush()
        else:
            with Screen() as screen:
                screen.add(response.text)

    def _remark(self, turn: Turn) -> None:
        """Say on stderr what a reader of the text alone would not notice."""
        response = turn.response
        if self.options.usage:
            complain(f"tako: {used(turn.usage, turn.cost)}, {turn.seconds:.1f} s")
        if self.options.json:
            return
        write_media(response)
        for notice in response.notices:
            complain(f"tako: {notice.path}: {notice.message}" if notice.path else f"tako: {notice.message}")
        if response.finish_reason is FinishReason.LENGTH:
            complain("tako: the answer was cut: it reached the limit of tokens")
        elif not (response.text or response.images or response.files):
            complain(f"tako: the answer has no text (it ended with {response.finish_reason})")


def used(usage: Usage, cost: Cost | None) -> str:
    """Say what answers used; a cost that isn't known isn't mentioned."""
    details = [(usage.cached_tokens, "from the cache"), (usage.reasoning_tokens, "of reasoning")]
    inside = ", ".join(f"{count:,} {what}" for count, what in details if count)
    text = f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out{f' ({inside})' if inside else ''}"
    return text if cost is None else f"{text}, ${cost.total:.6f}"


def last_block(text: str) -> str | None:
    """Return what is in the last code block of a Markdown text; None if there is none."""
    blocks = [match["code"] for match in FENCED.finditer(text)]
    return blocks[-1] if blocks else None


def print_json(value: Any) -> None:
    """Print a value as JSON: on one line, and indented on a terminal."""
    data = msgspec.json.encode(value, enc_hook=_plain)
    if is_terminal(sys.stdout):
        data = msgspec.json.format(data, indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def shown_call(name: str, args: Any, most: int | None = LONGEST) -> str:
    """Show a call as Python would write it, with so many characters of each argument."""
    table: dict[str, Any] = args if isinstance(args, dict) else {"…": args}  # pyright: ignore[reportUnknownVariableType] - JSON
    return f"{name}({', '.join(f'{key}={_shown(value, most)}' for key, value in table.items())})"


def _shown(value: Any, most: int | None = LONGEST) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if most is None or len(text) <= most else f"{text[:most]}…"


def _plain(value: Any) -> Any:
    """Return what msgspec doesn't know: a pydantic model as JSON, all else as its text."""
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)
