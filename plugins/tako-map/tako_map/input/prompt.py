"""From a row's cells to a request. Cells fill placeholders; they never add any."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError, TakoError
from tako.parts import ContentPart
from tako.types import ChatRequest, JsonSchema, Message
from tako_map.input.rows import LARGEST, RowError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.parts import Part

DEFAULT_COLUMNS = ("messages", "prompt", "text")
"""The columns that are the prompt without a template: the first that a row has."""
_encode = msgspec.json.Encoder(enc_hook=str, order="deterministic").encode
_PLACEHOLDER = re.compile(r"\{\{\s*(\w[\w .-]*?)\s*\}\}|\{(\w[\w .-]*)\}")


class Prompt:
    """How a row becomes a request.

    ``template`` has placeholders, ``{column}`` or ``{{ column }}``; all other braces are text. The cell's text fills a
    placeholder once, so a cell that looks like a placeholder, a role or JSON stays text in the one user message.
    Paths of images are relative to ``folder``. ``columns`` are those that every row must have, as far as they're known:
    without a template, only the image column.
    """

    def __init__(
        self,
        template: str | None = None,
        *,
        system: str | None = None,
        schema: JsonSchema | None = None,
        image_column: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> None:
        self.template = template
        self.image_column = image_column
        self.folder = Path()
        self._system = [Message.system(system)] if system else []
        self._schema = schema
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._texts: list[str] = []
        self._names: list[str] = []
        end = 0
        for placeholder in _PLACEHOLDER.finditer(template or ""):
            self._texts.append((template or "")[end : placeholder.start()])
            self._names.append(placeholder[1] or placeholder[2])
            end = placeholder.end()
        self._last_text = (template or "")[end:]
        names = [*self._names, *([image_column] if image_column else [])]
        self.columns: list[str] = list(dict.fromkeys(names))

    def request(self, cells: Any) -> ChatRequest:
        """Make the request of one row. Raises RowError."""
        try:
            return self._request({"prompt": cells} if isinstance(cells, str) else cells)
        except TakoError:
            raise
        except RecursionError:
            raise RowError("a cell is nested too deeply") from None
        except Exception as error:
            raise RowError(f"a cell can't be written: {type(error).__name__}: {error}") from error

    def digest(self, cells: Any) -> str | None:
        """Return eight hexadecimal digits that change with the used cells; None if the cells can't be encoded."""
        if isinstance(cells, str):
            cells = {"prompt": cells}
        names = self.columns if self.template is not None else [_default_column(cells), self.image_column]
        try:
            encoded = _encode([cells.get(name) for name in names])
        except Exception:  # noqa: BLE001 - its request has the same problem, and reports it
            return None
        return blake2b(encoded, digest_size=4).hexdigest()

    def _request(self, cells: Mapping[str, Any]) -> ChatRequest:
        content: Any
        if self.template is not None:
            content = "".join([*self._fill(cells), self._last_text])
        else:
            name = _default_column(cells)
            if name is None:
                names = ", ".join(repr(name) for name in DEFAULT_COLUMNS)
                raise RowError(f"without --prompt a row needs one of the columns {names} ({_columns_of(cells)})")
            content = cells[name]
            if name == "messages":
                return self._chat_request(_messages(content))
            content = _text(content)
        if len(content) > LARGEST:
            raise RowError(f"the row has {len(content):,} characters; {LARGEST:,} are the most")
        if self.image_column:
            parts: list[Part] = [self._image(_cell(cells, self.image_column))]
            content = [*parts, ContentPart.text(content)]
        return self._chat_request([Message.user(content)])

    def _fill(self, cells: Mapping[str, Any]) -> list[str]:
        texts: list[str] = []
        for text, name in zip(self._texts, self._names, strict=True):
            texts += text, _text(_cell(cells, name))
        return texts

    def _chat_request(self, messages: list[Message]) -> ChatRequest:
        return ChatRequest(
            [*self._system, *messages],
            max_tokens=self._max_tokens,
            temperature=self._temperature,
            response_format=self._schema,
        )

    def _image(self, cell: Any) -> Part:
        """Make a part of an address, a file's path (from the input's folder) or an image's bytes."""
        try:
            if isinstance(cell, bytes):
                return ContentPart.image_bytes(cell)
            if str(cell).partition(":")[0].lower() in ("http", "https", "data", "gs"):
                return ContentPart.image_url(str(cell))
            return ContentPart.image_file(self.folder / str(cell))
        except (OSError, ValueError) as error:
            raise RowError(f"column {self.image_column!r}: {error}") from error


def read_schema(path: Path) -> JsonSchema:
    """Read a JSON Schema from a file. Raises ConfigurationError."""
    try:
        schema = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ConfigurationError(f"--schema {path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"--schema {path}: it isn't a JSON Schema: {error}") from error
    except RecursionError:
        raise ConfigurationError(f"--schema {path}: it is nested too deeply") from None
    return JsonSchema(re.sub(r"[^A-Za-z0-9_-]", "_", path.stem), schema)


def _default_column(cells: Mapping[str, Any]) -> str | None:
    """Return the column to use as the prompt without a template; None if the row doesn't have it."""
    return next((name for name in DEFAULT_COLUMNS if cells.get(name) is not None), None)


def _cell(cells: Mapping[str, Any], name: str) -> Any:
    cell = cells.get(name)
    if cell is None:
        raise RowError(
            f"the column {name!r} is null" if name in cells else f"there is no column {name!r} ({_columns_of(cells)})"
        )
    return cell


def _text(cell: Any) -> str:
    """Write a cell as text: text as it is, all else as JSON."""
    return cell if isinstance(cell, str) else msgspec.json.encode(cell, enc_hook=str).decode()


def _messages(cell: Any) -> list[Message]:
    try:
        if isinstance(cell, str):
            return msgspec.json.decode(cell, type=list[Message])
        return msgspec.convert(cell, list[Message])
    except msgspec.ValidationError as error:
        raise RowError(f"the column 'messages' isn't a list of messages: {error}") from error
    except msgspec.DecodeError as error:
        raise RowError(f"the column 'messages' isn't JSON: {error}") from error


def _columns_of(cells: Mapping[str, Any]) -> str:
    return f"columns: {', '.join(cells)}"
