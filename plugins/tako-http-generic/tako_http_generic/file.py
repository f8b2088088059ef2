"""An endpoint as a file of data, TOML or JSON."""

from __future__ import annotations

import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tako.errors import ConfigurationError
from tako_http_generic.settings import Format, NdJson, OpenAiSse, ToolCalls

if TYPE_CHECKING:
    from collections.abc import Generator
    from importlib.resources.abc import Traversable

    Readable = str | os.PathLike[str] | Traversable

Pointers = str | list[str]


class File(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a file may hold: the parameters of ``HttpGeneric``; ``model`` is the one that is meant if none is named."""

    id: str
    url: str
    body_template: Any
    model: str | UnsetType = UNSET
    response_text_pointer: Pointers | UnsetType = UNSET
    headers: dict[str, str] | list[tuple[str, str]] | UnsetType = UNSET
    stream_config: OpenAiSse | NdJson | UnsetType = UNSET
    capabilities: dict[str, Any] | UnsetType = UNSET
    usage_pointer: Pointers | UnsetType = UNSET
    finish_reason_pointer: Pointers | UnsetType = UNSET
    tool_calls: ToolCalls | str | UnsetType = UNSET
    error_pointer: Pointers | UnsetType = UNSET
    method: str | UnsetType = UNSET
    messages_format: Format | UnsetType = UNSET
    defaults: dict[str, Any] | UnsetType = UNSET
    stream_body_template: Any = UNSET
    stream_url: str | UnsetType = UNSET
    query: dict[str, str] | UnsetType = UNSET
    reasoning_pointer: Pointers | UnsetType = UNSET
    id_pointer: Pointers | UnsetType = UNSET
    model_pointer: Pointers | UnsetType = UNSET
    finish_reasons: dict[str, str] | UnsetType = UNSET
    finish_from_calls: bool | UnsetType = UNSET
    usage_fields: dict[str, Pointers] | UnsetType = UNSET
    error_codes: dict[str, str] | UnsetType = UNSET
    error_message_pointer: Pointers | UnsetType = UNSET
    error_code_pointer: Pointers | UnsetType = UNSET
    timeout: float | UnsetType = UNSET
    connect_timeout: float | UnsetType = UNSET
    deadline: float | UnsetType = UNSET
    max_retries: int | UnsetType = UNSET
    idempotency_header: str | UnsetType = UNSET
    proxy: str | UnsetType = UNSET
    trust_env: bool | UnsetType = UNSET
    max_connections: int | UnsetType = UNSET
    max_event_bytes: int | UnsetType = UNSET
    max_reply_bytes: int | UnsetType = UNSET


def read_file(path: Readable) -> dict[str, Any]:
    """Read the parameters that a file holds; it is JSON if its name ends in ``.json``, else TOML.

    Raises ConfigurationError with the file, the path within it, and what is wrong.
    """
    file = Path(path) if isinstance(path, (str, os.PathLike)) else path
    try:
        text = file.read_text("utf-8")
        given = msgspec.json.decode(text) if file.name.lower().endswith(".json") else tomllib.loads(text)
        read = msgspec.convert(given, File)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{file} is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:  # of TOML, of JSON, of UTF-8
        raise ConfigurationError(f"{file} can't be parsed: {error}") from None
    values = {name: getattr(read, name) for name in read.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def settings_of(path: Readable, model: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters in a file, with what overrides them."""
    settings = {**read_file(path), **options}
    if model or "model" not in settings:
        settings["model"] = model or ""
    return settings


@contextmanager
def naming(path: Readable) -> Generator[None, None, None]:
    """Name the file in what is raised about its content."""
    try:
        yield
    except ConfigurationError as error:
        text = str(error)
        raise ConfigurationError(text if text.startswith(str(path)) else f"{path}: {text}") from None
