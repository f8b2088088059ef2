"""Log a conversation as it leaves the plugins, without keys, and with images and files by reference.

The command has a plugin inside all others, so it sees requests after plugins have redacted them.
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

from tako.cli.log import Log, LoggedTurn, Start
from tako.cli.run import print_to_stderr
from tako.environment import PREFIX
from tako.errors import TakoError
from tako.fold import fold
from tako.hooks import hookimpl, register
from tako.json_values import as_array, as_object
from tako.options import find_secret, hide_secrets_in_urls
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

MIN_KEY_LENGTH = 8
"""Characters of the shortest value of a variable that may be a key."""
MAX_QUESTIONS = 200
"""How many questions the arrow keys bring back."""
MAX_URL_LENGTH = 2000
"""Characters of the longest address that is logged; a longer one is content."""
_KEY_NAME = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_KEY = re.compile(
    r"\b(?:sk-[\w-]{16,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|gh[pousr]_\w{30,}|xox[a-z]-[\w-]{10,}|gsk_\w{20,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)"
)
"""Keys of well-known services."""


class Exchange(NamedTuple):
    """A request as it went to the vendor, and the reply as it arrived."""

    request: ChatRequest
    response: ChatResponse


class Tap:
    """A plugin inside all others: it sees what they send."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._part: Part | None = None

    @hookimpl(wrapper=True, trylast=True)
    def tako_chat(self) -> Around[Chat]:
        """Record complete replies."""
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            response = await inner(request)
            self.exchanges.append(Exchange(request, response))
            return response

        return chat

    @hookimpl(wrapper=True, trylast=True)
    def tako_stream(self) -> Around[Stream]:
        """Record streamed replies."""
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            chunks: list[Chunk] = []
            async for chunk in inner(request):
                chunks.append(chunk)
                if chunk.kind == "end":
                    self.exchanges.append(Exchange(request, fold(chunks)))
                yield chunk

        return stream

    @hookimpl(wrapper=True, trylast=True)
    def tako_translator(self) -> Around[Translator]:
        """Record parts before they are encoded."""
        inner = yield

        def encode(part: Part, context: PartContext) -> Any:
            self._part = part
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)

    def after_plugins(self, message: Message, provider: Provider) -> Message:
        """Return a message with its parts as the plugins around the translator change them."""
        translator = provider.translator
        context = PartContext(Origin(provider.name, provider.model), ChatRequest([message]))
        context.message, context.encode = message, translator.encode
        return replace(message, content=[self._through(part, translator, context) for part in message.parts])

    def _through(self, part: Part, translator: Translator, context: PartContext) -> Part:
        self._part = None
        with suppress(Exception):  # a part that can't be encoded was left out, or sent in another way
            translator.encode(part, context)
        return self._part if self._part is not None else part


class Recorder:
    """Writes the turns of one conversation to the log."""

    def __init__(self, log: Log, model: str, options: list[str], *, id: str | None = None) -> None:
        self.id = id
        self._log, self._model = log, model
        self._options, self._missing = split_options(options)
        self._files: dict[str, str] = {}
        self._numbers: list[int | None] = [turn["number"] for turn in log.turns(id)] if id is not None else []
        self._tap = Tap()
        register(self._tap, name="conversation-log")

    def attach(self, parts: Sequence[Part], sources: Sequence[str]) -> None:
        """Remember the paths of files."""
        for part, name in zip(parts, sources, strict=True):
            if isinstance(part, (ImagePart, FilePart)):
                self._files[_hash(part.data_b64)] = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - the user may be unknown

    def begin(self) -> None:
        """Get ready for a turn."""
        self._tap.exchanges.clear()

    def keep(self, provider: Provider, turn: Turn, system: str | None) -> None:
        """Log a turn. If that fails, print a line on stderr."""
        self._numbers.append(self._log_turn(provider, turn, system))

    def _log_turn(self, provider: Provider, turn: Turn, system: str | None) -> int | None:
        """Log a turn, and return its number in the log; None if it isn't logged."""
        if not self._tap.exchanges:
            print_to_stderr("tako: not logged: a plugin answered this turn, and nothing was sent")
            return None
        messages = self._messages(turn)
        plain_messages = [
            _replace_content(self._clean(self._tap.after_plugins(message, provider), provider), self._files)
            for message in messages
        ]
        cost = float(turn.cost.total) if turn.cost is not None else None
        logged = LoggedTurn(
            turn.response.provider or provider.id,
            _message_text(plain_messages[0]),
            _message_text(plain_messages[-1]),
            msgspec.json.encode(plain_messages).decode(),
            turn.usage.input_tokens,
            turn.usage.output_tokens,
            cost,
            turn.seconds,
        )
        try:
            if self.id not in self._log.ids():  # it's new, or was pruned meanwhile
                system_message = self._tap.exchanges[0].request.messages[0] if system else None
                system_text = (
                    _message_text(self._clean(self._tap.after_plugins(system_message, provider), provider))
                    if system_message is not None
                    else None
                )
                self.id = self._log.begin(Start(self._model, self._options, self._missing, system_text))
            return self._log.add(self.id, logged)
        except TakoError as error:
            print_to_stderr(f"tako: not logged: {error}")
            return None

    def questions(self) -> list[str]:
        """Return the last questions of all conversations, the newest last."""
        return self._log.questions(MAX_QUESTIONS)

    def undo(self) -> None:
        """Delete the last turn, if it was logged."""
        number = self._numbers.pop() if self._numbers else None  # a conversation from a file isn't in the log
        if number is not None:
            self._log.undo(number)

    def _messages(self, turn: Turn) -> list[Message]:
        """Return the turn's messages as they were sent, and the answer."""
        count = len(turn.messages) - 1
        exchanges = self._tap.exchanges
        # after tool calls, the last request has all messages; without them, a later request may be a repair
        sent_messages = exchanges[-1].request.messages[-count:] if count > 1 else exchanges[0].request.messages[-1:]
        return [*sent_messages, self._answer(turn)]

    def _answer(self, turn: Turn) -> Message:
        """Return the answer. If plugins put redacted words back into it, return it as the vendor sent it."""
        outer, inner = turn.response.message, self._tap.exchanges[-1].response.message
        removed = _words_in(turn.messages[:1]) - _words_in(self._tap.exchanges[0].request.messages)
        put_back = any(removed_word in outer.text and removed_word not in inner.text for removed_word in removed)
        return inner if put_back else outer

    def _clean(self, message: Message, provider: Provider) -> dict[str, Any]:
        """Return a message as JSON, with keys replaced by their variable, or by asterisks."""
        hide = getattr(provider, "hide", str)
        keys = _key_variables()
        cleaned: dict[str, Any] = _map_texts(
            msgspec.to_builtins(message), lambda text: str(hide(_hide_keys(text, keys)))
        )
        return cleaned


def split_options(options: list[str]) -> tuple[list[str], list[str]]:
    """Return the KEY=VALUE pairs that may be logged, and the keys of those that are secrets."""
    keys = _key_variables()
    loggable: list[str] = []
    missing: list[str] = []
    for pair in options:
        key, _, text = pair.partition("=")
        value: Any = text
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            value = msgspec.json.decode(text)
        is_secret = find_secret({key: value}) is not None or find_secret({key: text}) is not None
        if not is_secret and _hide_keys(pair, keys) == pair:
            loggable.append(pair)
        else:
            missing.append(key)
    return loggable, missing


def read_back(turns: Iterable[dict[str, Any]]) -> list[Message]:
    """Return the messages of turns in the log. Files are read again; a line says which ones changed."""
    messages: list[Message] = []
    for turn in turns:
        for encoded in msgspec.json.decode(turn["messages"], type=list[dict[str, Any]]):
            parts = as_array(encoded["content"])
            if parts is not None:
                encoded["content"] = [_restore_content(part) for part in parts]
            messages.append(msgspec.convert(encoded, Message))
    return messages


def _restore_content(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part with the content of its file, or a text if the file has changed."""
    reference = part.get("reference")
    if reference is None:
        return part
    path = reference["path"]
    with suppress(OSError, ValueError):
        data = b64encode(Path(path).read_bytes()).decode("ascii")
        if path and _hash(data) == reference["sha256"]:
            return {**part, "data_b64": data}
    name = path or f"{part.get('mime') or 'a file'} of the answer"
    print_to_stderr(f"tako: {name} was deleted or changed, so the conversation continues without it")
    return {"type": "text", "text": f"[{name}]"}


def _replace_content(value: Any, files: dict[str, str]) -> Any:
    """Replace content with its origin, at any depth."""
    table, items = as_object(value), as_array(value)
    if items is not None:
        return [_replace_content(one, files) for one in items]
    if table is None:
        return value
    data, url = table.get("data_b64"), table.get("url")
    if isinstance(data, str):
        hash = _hash(data)
        return {**table, "data_b64": "", "reference": {"path": files.get(hash, ""), "sha256": hash}}
    if isinstance(url, str) and (url[:5].lower() == "data:" or len(url) > MAX_URL_LENGTH):
        return {"type": "text", "text": f"[{table.get('mime') or 'a file'} that was in the address]"}
    return {key: _replace_content(one, files) for key, one in table.items()}


def _hash(data_b64: str) -> str:
    return sha256(data_b64.encode()).hexdigest()


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return JSON with all texts changed, except the content of files."""
    table, items = as_object(value), as_array(value)
    if table is not None:
        return {key: one if key == "data_b64" else _map_texts(one, change) for key, one in table.items()}
    if items is not None:
        return [_map_texts(one, change) for one in items]
    return change(value) if isinstance(value, str) else value


def _message_text(plain: dict[str, Any]) -> str:
    content = plain["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _words_in(messages: Iterable[Message]) -> set[str]:
    texts = [message.text for message in messages if message.role is not Role.ASSISTANT]
    return {match for text in texts for match in re.findall(r"\w+", text)}


def _key_variables() -> list[tuple[str, str]]:
    """Return the variables that may contain keys, with their values, longest value first."""
    keys = [
        (name, value) for name, value in os.environ.items() if len(value) >= MIN_KEY_LENGTH and _KEY_NAME.search(name)
    ]
    return sorted(keys, key=lambda one: -len(one[1]))


def _hide_keys(text: str, keys: Iterable[tuple[str, str]]) -> str:
    """Replace keys with the names of their variables, and texts that look like keys with asterisks."""
    for name, value in keys:
        text = text.replace(value, f"{PREFIX}{name}")
    return _KEY.sub("***", hide_secrets_in_urls(text))
