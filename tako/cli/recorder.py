"""What goes into the log: what plugins let out, without keys, and with images and files by reference.

A plugin of the command stands inside all others, so a plugin that takes something out of requests has done so before.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from tako.cli.log import Kept, Log, Start
from tako.cli.run import complain
from tako.environment import MARK
from tako.errors import TakoError
from tako.fold import fold
from tako.hooks import hookimpl, register
from tako.json_values import as_array, as_object
from tako.options import find_secret, hide_in_addresses
from tako.parts import FilePart, ImagePart, Part
from tako.state import Origin
from tako.translator import PartContext, Translator
from tako.types import ChatRequest, ChatResponse, Message, Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from tako.cli.session import Turn
    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import Chunk

SHORTEST = 8
"""Characters of a variable's value that may be a key."""
MOST_QUESTIONS = 200
"""How many questions the arrows bring back."""
LONGEST_URL = 2000
"""Characters of an address that is kept; a longer one is content."""
_KEY_NAME = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_KEY = re.compile(
    r"\b(?:sk-[\w-]{16,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|gh[pousr]_\w{30,}|xox[a-z]-[\w-]{10,}|gsk_\w{20,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)"
)
"""What keys of well-known services look like."""


class Exchange(NamedTuple):
    """A request as it went to the vendor, and the reply as it came."""

    request: ChatRequest
    response: ChatResponse


class Tap:
    """A plugin inside all others: it sees what they let out."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self._part: Part | None = None

    @hookimpl(wrapper=True, trylast=True)
    def tako_chat(self) -> Around[Chat]:
        """Look at whole replies."""
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            response = await inner(request)
            self.seen.append(Exchange(request, response))
            return response

        return chat

    @hookimpl(wrapper=True, trylast=True)
    def tako_stream(self) -> Around[Stream]:
        """Look at the chunks of streamed replies."""
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            kept: list[Chunk] = []
            async for chunk in inner(request):
                kept.append(chunk)
                if chunk.kind == "end":
                    self.seen.append(Exchange(request, fold(kept)))
                yield chunk

        return stream

    @hookimpl(wrapper=True, trylast=True)
    def tako_translator(self) -> Around[Translator]:
        """Look at parts on their way to the vendor's blocks."""
        inner = yield

        def encode(part: Part, context: PartContext) -> Any:
            self._part = part
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)

    def let_out(self, message: Message, provider: Provider) -> Message:
        """Return a message with its parts as the plugins around the translator make them."""
        translator = provider.translator
        context = PartContext(Origin(provider.name, provider.model), ChatRequest([message]))
        context.message, context.encode = message, translator.encode
        return replace(message, content=[self._through(part, translator, context) for part in message.parts])

    def _through(self, part: Part, translator: Translator, context: PartContext) -> Part:
        self._part = None
        with suppress(Exception):  # what can't be encoded was sent, or was not, by other means
            translator.encode(part, context)
        return self._part if self._part is not None else part


class Recorder:
    """Keeps the turns of one conversation in the log."""

    def __init__(self, log: Log, wanted: str, options: list[str], *, id: str | None = None) -> None:
        self.id = id
        self._log, self._wanted = log, wanted
        self._options, self._missing = split_options(options)
        self._files: dict[str, str] = {}
        self._numbers: list[int | None] = [turn["number"] for turn in log.turns(id)] if id is not None else []
        self._tap = Tap()
        register(self._tap, name="conversation-log")

    def attach(self, parts: Sequence[Part], given: Sequence[str]) -> None:
        """Remember where files are from."""
        for part, name in zip(parts, given, strict=True):
            if isinstance(part, (ImagePart, FilePart)):
                self._files[_hash(part.data_b64)] = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - ~ may be nobody's

    def begin(self) -> None:
        """Get ready for a turn."""
        self._tap.seen.clear()

    def keep(self, provider: Provider, turn: Turn, system: str | None) -> None:
        """Keep a turn. What goes wrong is a line on stderr."""
        self._numbers.append(self._kept(provider, turn, system))

    def _kept(self, provider: Provider, turn: Turn, system: str | None) -> int | None:
        """Return the number that a turn has in the log; None if it isn't there."""
        if not self._tap.seen:
            complain("tako: this turn isn't in the log: a plugin answered it, and nothing was sent")
            return None
        messages = self._messages(turn)
        plain = [
            _by_reference(self._clean(self._tap.let_out(one, provider), provider), self._files) for one in messages
        ]
        cost = float(turn.cost.total) if turn.cost is not None else None
        kept = Kept(
            turn.response.provider or provider.id,
            _text(plain[0]),
            _text(plain[-1]),
            msgspec.json.encode(plain).decode(),
            turn.usage.input_tokens,
            turn.usage.output_tokens,
            cost,
            turn.seconds,
        )
        try:
            if self.id not in self._log.ids():  # none yet, or it was pruned in the meantime
                told = self._tap.seen[0].request.messages[0] if system else None
                shown = _text(self._clean(self._tap.let_out(told, provider), provider)) if told is not None else None
                self.id = self._log.begin(Start(self._wanted, self._options, self._missing, shown))
            return self._log.add(self.id, kept)
        except TakoError as error:
            complain(f"tako: not logged: {error}")
            return None

    def questions(self) -> list[str]:
        """Return the last questions of all conversations, the newest last."""
        return self._log.questions(MOST_QUESTIONS)

    def undo(self) -> None:
        """Delete the last turn, if it was kept."""
        number = self._numbers.pop() if self._numbers else None  # a conversation from a file isn't in the log
        if number is not None:
            self._log.undo(number)

    def _messages(self, turn: Turn) -> list[Message]:
        """Return the turn's messages as they went out, and the answer."""
        count = len(turn.messages) - 1
        seen = self._tap.seen
        # after calls of tools the last request has all of them; without, a later one may be a repair
        sent = seen[-1].request.messages[-count:] if count > 1 else seen[0].request.messages[-1:]
        return [*sent, self._answer(turn)]

    def _answer(self, turn: Turn) -> Message:
        """Return the answer: as the vendor sent it, if plugins put back in what they had taken out of the question."""
        outer, inner = turn.response.message, self._tap.seen[-1].response.message
        removed = _words(turn.messages[:1]) - _words(self._tap.seen[0].request.messages)
        put_back = any(word in outer.text and word not in inner.text for word in removed)
        return inner if put_back else outer

    def _clean(self, message: Message, provider: Provider) -> dict[str, Any]:
        """Return a message as JSON, with keys by reference: the variable that has them, or asterisks."""
        hide = getattr(provider, "hide", str)
        keys = _keys()
        made: dict[str, Any] = _mapped(msgspec.to_builtins(message), lambda text: str(hide(_without_keys(text, keys))))
        return made


def split_options(options: list[str]) -> tuple[list[str], list[str]]:
    """Return the KEY=VALUE pairs that may be written down, and the keys of those that are secrets."""
    keys = _keys()
    kept: list[str] = []
    missing: list[str] = []
    for pair in options:
        key, _, text = pair.partition("=")
        value: Any = text
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            value = msgspec.json.decode(text)
        is_secret = find_secret({key: value}) is not None or find_secret({key: text}) is not None
        if not is_secret and _without_keys(pair, keys) == pair:
            kept.append(pair)
        else:
            missing.append(key)
    return kept, missing


def read_back(turns: Iterable[dict[str, Any]]) -> list[Message]:
    """Return the messages of turns from the log, with files that are still as they were. Says which aren't."""
    made: list[Message] = []
    for turn in turns:
        for plain in msgspec.json.decode(turn["messages"], type=list[dict[str, Any]]):
            parts = as_array(plain["content"])
            if parts is not None:
                plain["content"] = [_restored(part) for part in parts]
            made.append(msgspec.convert(plain, Message))
    return made


def _restored(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part with its content, read from the file that it refers to; else a text in its place."""
    reference = part.get("reference")
    if reference is None:
        return part
    path = reference["path"]
    with suppress(OSError, ValueError):
        data = b64encode(Path(path).read_bytes()).decode("ascii")
        if path and _hash(data) == reference["sha256"]:
            return {**part, "data_b64": data}
    name = path or f"{part.get('mime') or 'a file'} of the answer"
    complain(f"tako: {name} isn't part of the conversation any more: it is gone, or changed")
    return {"type": "text", "text": f"[{name}]"}


def _by_reference(value: Any, files: dict[str, str]) -> Any:
    """Put in the place of content where it is from, however deep."""
    table, items = as_object(value), as_array(value)
    if items is not None:
        return [_by_reference(one, files) for one in items]
    if table is None:
        return value
    data, url = table.get("data_b64"), table.get("url")
    if isinstance(data, str):
        hash = _hash(data)
        return {**table, "data_b64": "", "reference": {"path": files.get(hash, ""), "sha256": hash}}
    if isinstance(url, str) and (url[:5].lower() == "data:" or len(url) > LONGEST_URL):
        return {"type": "text", "text": f"[{table.get('mime') or 'a file'} that was in the address]"}
    return {key: _by_reference(one, files) for key, one in table.items()}


def _hash(data_b64: str) -> str:
    return sha256(data_b64.encode()).hexdigest()


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return JSON with all texts changed, but the content of files."""
    table, items = as_object(value), as_array(value)
    if table is not None:
        return {key: one if key == "data_b64" else _mapped(one, change) for key, one in table.items()}
    if items is not None:
        return [_mapped(one, change) for one in items]
    return change(value) if isinstance(value, str) else value


def _text(plain: dict[str, Any]) -> str:
    content = plain["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _words(messages: Iterable[Message]) -> set[str]:
    texts = [message.text for message in messages if message.role is not Role.ASSISTANT]
    return {word for text in texts for word in re.findall(r"\w+", text)}


def _keys() -> list[tuple[str, str]]:
    """Return the variables that may have keys, with their values, the longest first."""
    keys = [(name, value) for name, value in os.environ.items() if len(value) >= SHORTEST and _KEY_NAME.search(name)]
    return sorted(keys, key=lambda one: -len(one[1]))


def _without_keys(text: str, keys: Iterable[tuple[str, str]]) -> str:
    """Put the variable's name in the place of a key, and asterisks in that of what looks like one."""
    for name, value in keys:
        text = text.replace(value, f"{MARK}{name}")
    return _KEY.sub("***", hide_in_addresses(text))
