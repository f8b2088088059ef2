"""``tako chat``: one question, or a conversation."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, cast

import msgspec

from tako.cli.attachments import read_attachments, write_media
from tako.cli.models import EMBEDDED, pick
from tako.cli.question import read_prompt
from tako.cli.run import complain
from tako.cli.screen import Screen, is_terminal, waiting
from tako.parts import ContentPart
from tako.types import ChatRequest, FinishReason, Message

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.keywords import RequestOptions
    from tako.provider import Provider
    from tako.types import ChatResponse, Part

PARAMETERS = ("temperature", "top_p", "max_tokens", "stop", "seed", "reasoning", "strict", "timeout")
"""Options of the command that go out with each request."""
BRIEF = "Be brief."
"""What the embedded model is told where nobody says otherwise: with its template's own instruction it rambles."""


class Session:
    """A provider, how it is asked, and what was said so far."""

    def __init__(self, provider: Provider, options: Namespace) -> None:
        self.provider = provider
        self.options = options
        small = provider.name == EMBEDDED and provider.model == type(provider).from_id("").model
        system = BRIEF if options.system is None and small else options.system
        self.temperature = 0.0 if small else None  # of a model this small only the likeliest words make sense
        self.parameters = cast("RequestOptions", {name: getattr(options, name) for name in PARAMETERS})
        self.history: list[Message] = [Message.system(system)] if system else []

    async def ask(self, message: Message) -> ChatResponse:
        """Send a turn and show the answer; the history grows once it is whole."""
        request = ChatRequest([*self.history, message], temperature=self.temperature)
        await self._load()
        response = await (self._streamed(request) if self.options.stream else self._whole(request))
        self.history += [message, response.message]
        self._remark(response)
        return response

    async def _load(self) -> None:
        """Load a model that runs in process, visibly."""
        load: Any = getattr(self.provider, "load", None)
        if load is not None:
            async with waiting(f"loading {self.provider.model}", always=True):
                await load()

    async def _whole(self, request: ChatRequest) -> ChatResponse:
        async with waiting(f"waiting for {self.provider.id}"):
            response = await self.provider.chat(request, **self.parameters)
        if self.options.json:
            _print_json(response)
        else:
            with Screen() as screen:
                screen.add(response.text)
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

    def _remark(self, response: ChatResponse) -> None:
        """Say on stderr what a reader of the text alone would not notice."""
        if self.options.json:
            return
        write_media(response)
        for notice in response.notices:
            complain(f"tako: {notice.path}: {notice.message}" if notice.path else f"tako: {notice.message}")
        if response.finish_reason is FinishReason.LENGTH:
            complain("tako: the answer was cut: it reached the limit of tokens")
        elif not (response.text or response.images or response.files):
            complain(f"tako: the answer has no text (it ended with {response.finish_reason})")


def run(options: Namespace) -> int:
    """Carry out the command."""
    if options.json:
        options.stream = False
    prompt = read_prompt(options.prompt)
    provider, fallback = pick(options.model, options.option, options.config)
    session = Session(provider, options)
    if fallback:
        complain(f"tako: no model was chosen, so a small one in this process answers ({session.provider.id}); see -m")
    if prompt is None:
        from tako.cli.talk import talk

        return talk(session, read_attachments(options.attached))
    content: str | list[Part] = prompt
    if options.attached:
        content = [*read_attachments(options.attached), *([ContentPart.text(prompt)] if prompt else [])]
    asyncio.run(_once(session, Message.user(content)))
    return 0


async def _once(session: Session, message: Message) -> None:
    async with session.provider:
        await session.ask(message)


def _print_json(response: ChatResponse) -> None:
    data = msgspec.json.encode(response, enc_hook=str)
    if is_terminal(sys.stdout):
        data = msgspec.json.format(data, indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()
