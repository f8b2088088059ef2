"""A session with a provider: its settings and its messages, for one question or a conversation."""

from __future__ import annotations

import re
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from tako.cli.attachments import write_media
from tako.cli.models import EMBEDDED
from tako.cli.run import print_to_stderr
from tako.cli.screen import Screen, spinner
from tako.cli.terminal import is_terminal, printable
from tako.types import ChatRequest, FinishReason, Message, Role, Usage

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from tako.cli.recorder import Recorder
    from tako.keywords import RequestOptions
    from tako.provider import Provider
    from tako.types import ChatResponse, Cost

PARAMETERS = ("temperature", "top_p", "max_tokens", "stop", "seed", "reasoning", "strict", "timeout")
"""Options of the command that are part of each request."""
BRIEF = "Be brief."
"""The default instruction for the embedded model: with its template's own instruction, it rambles."""
FENCED = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<code>.*?)^ {0,3}(?P=fence)[`~]*[ \t]*$", re.MULTILINE | re.DOTALL
)
MAX_SHOWN = 200
"""Characters of a call, or of its result, that are shown."""


class Turn(NamedTuple):
    """One question and its answer: all messages, and what they used."""

    messages: list[Message]
    response: ChatResponse
    usage: Usage
    cost: Cost | None
    seconds: float = 0.0


class Session:
    """Sends one question after the other, and shows the answers.

    ``tools`` are functions that the model may call if the user approves. ``response_type`` is a type or a JsonSchema
    for the answers. ``recorder`` logs the turns.
    """

    def __init__(
        self,
        provider: Provider,
        options: Namespace,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        response_type: Any = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.provider = provider
        self.options = options
        self.system: str | None = options.system
        self.parameters = cast("RequestOptions", {name: getattr(options, name) for name in PARAMETERS})
        self.earlier_messages: list[Message] = []
        self.turns: list[Turn] = []
        self._tools, self._response_type, self.recorder = tools, response_type, recorder

    @property
    def history(self) -> list[Message]:
        """The messages before the next question."""
        messages = [*self.earlier_messages, *(message for turn in self.turns for message in turn.messages)]
        system = BRIEF if self.system is None and self._is_small else self.system
        return [Message.system(system), *messages] if system else messages

    @property
    def _is_small(self) -> bool:
        """Whether it's the embedded model, which only makes sense at temperature 0."""
        return self.provider.name == EMBEDDED and self.provider.model == type(self.provider).from_id("").model

    async def ask(self, message: Message) -> ChatResponse:
        """Send a question and show the answer. The turn joins the history when it's complete."""
        request = ChatRequest([*self.history, message], temperature=0.0 if self._is_small else None)
        start = monotonic()
        if self.recorder is not None:
            self.recorder.begin()
        await self._load()
        turn = (await self._answer(request, message))._replace(seconds=monotonic() - start)
        self.turns.append(turn)
        if self.recorder is not None:
            self.recorder.keep(self.provider, turn, self.system)
        self._report(turn)
        return turn.response

    def undo(self) -> bool:
        """Remove the last turn, from the log too; return whether there was one."""
        questions = [index for index, message in enumerate(self.earlier_messages) if message.role is Role.USER]
        if self.turns:
            self.turns.pop()
        elif questions:
            del self.earlier_messages[questions[-1] :]
        else:
            return False
        if self.recorder is not None:
            self.recorder.undo()
        return True

    async def _load(self) -> None:
        """Load a model that runs in process, and show that."""
        load: Any = getattr(self.provider, "load", None)
        if load is not None:
            async with spinner(f"loading {self.provider.model}", always=True):
                await load()

    async def _answer(self, request: ChatRequest, message: Message) -> Turn:
        is_complete = (
            not self.options.stream or self.options.json or self.options.extract or self._response_type is not None
        )
        if self._tools:
            return await self._run(request, message, is_complete=is_complete)
        response = await (self._complete(request) if is_complete else self._streamed(request))
        return Turn([message, response.message], response, response.usage, response.cost)

    async def _complete(self, request: ChatRequest) -> ChatResponse:
        async with spinner(f"waiting for {self.provider.id}"):
            response = await self.provider.chat(request, response_type=self._response_type, **self.parameters)
        self._print(response)
        return response

    async def _streamed(self, request: ChatRequest) -> ChatResponse:
        async with self.provider.stream(request, **self.parameters) as stream:
            pieces = stream.text
            async with spinner(f"waiting for {self.provider.id}"):
                first = await anext(pieces, "")
            with Screen() as screen:
                screen.add(first)
                async for text in pieces:
                    screen.add(text)
            return await stream.response()

    async def _run(self, request: ChatRequest, message: Message, *, is_complete: bool) -> Turn:
        """Let the model call tools until it answers."""
        from tako.cli.approval import Approval

        parameters: RequestOptions = {**self.parameters, "tools": self._tools}
        approve = Approval(self.options.yes)
        run = self.provider.run(request, response_type=self._response_type, approve=approve, **parameters)
        screen: Screen | None = None
        try:
            async for event in run.stream():
                if event.kind == "delta" and event.text and not is_complete:
                    screen = screen or Screen().__enter__()
                    screen.add(event.text)
                elif event.kind == "round_end" and screen is not None:
                    screen.__exit__(None)
                    screen = None
                elif event.kind == "tool_end":
                    print_to_stderr(
                        f"tako: {call_text(event.call.name, event.call.args)} -> {_json_text(event.result.result)}"
                    )
        finally:
            if screen is not None:
                screen.__exit__(*sys.exc_info())
        result = await run
        if is_complete:
            self._print(result.response)
        messages = result.messages[len(request.messages) - 1 :]
        return Turn([message, *messages[1:]], result.response, result.usage, result.cost)

    def _print(self, response: ChatResponse) -> None:
        """Print a complete answer."""
        if self.options.json:
            print_json(response)
        elif self._response_type is not None:
            print_json(response.parsed)
        elif self.options.extract:
            code = last_code_block(response.text)
            if code is None:
                print_to_stderr("tako: the answer has no code block, so all of it is shown")
            text = response.text if code is None else code
            sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
            sys.stdout.write("" if text.endswith("\n") else "\n")
            sys.stdout.flush()
        else:
            with Screen() as screen:
                screen.add(response.text)

    def _report(self, turn: Turn) -> None:
        """Print on stderr what the text of the answer doesn't show."""
        response = turn.response
        if self.options.usage:
            print_to_stderr(f"tako: {usage_text(turn.usage, turn.cost)}, {turn.seconds:.1f} s")
        if self.options.json:
            return
        write_media(response)
        for notice in response.notices:
            print_to_stderr(f"tako: {notice.path}: {notice.message}" if notice.path else f"tako: {notice.message}")
        if response.finish_reason is FinishReason.LENGTH:
            print_to_stderr("tako: the answer is incomplete: it reached the limit of tokens")
        elif not (response.text or response.images or response.files):
            print_to_stderr(f"tako: the answer has no text (it ended with {response.finish_reason})")


def usage_text(usage: Usage, cost: Cost | None) -> str:
    """Return what answers used, with the cost if it's known."""
    details = [(usage.cached_tokens, "from the cache"), (usage.reasoning_tokens, "of reasoning")]
    details_text = ", ".join(f"{count:,} {description}" for count, description in details if count)
    text = (
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out{f' ({details_text})' if details_text else ''}"
    )
    return text if cost is None else f"{text}, ${cost.total:.6f}"


def last_code_block(text: str) -> str | None:
    """Return the content of the last code block in a Markdown text; None if it doesn't have one."""
    blocks = [match["code"] for match in FENCED.finditer(text)]
    return blocks[-1] if blocks else None


def print_json(value: Any) -> None:
    """Print a value as JSON: indented on a terminal, otherwise on one line."""
    data = msgspec.json.encode(value, enc_hook=_encodable)
    if is_terminal(sys.stdout):
        data = msgspec.json.format(data, indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def call_text(name: str, args: Any, limit: int | None = MAX_SHOWN) -> str:
    """Return a call as Python code, with at most ``limit`` characters of each argument."""
    table: dict[str, Any] = args if isinstance(args, dict) else {"…": args}  # pyright: ignore[reportUnknownVariableType] - JSON
    return f"{name}({', '.join(f'{key}={_json_text(value, limit)}' for key, value in table.items())})"


def _json_text(value: Any, limit: int | None = MAX_SHOWN) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if limit is None or len(text) <= limit else f"{text[:limit]}…"


def _encodable(value: Any) -> Any:
    """Return a value that msgspec can't encode: a pydantic model as JSON, anything else as its text."""
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)
