"""The settings of an endpoint in a TOML or JSON file."""

from __future__ import annotations

import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tako.errors import ConfigurationError
from tako_http_generic.pointers import Pointers
from tako_http_generic.settings import Format, NdJson, OpenAiSse, ToolCalls

if TYPE_CHECKING:
    from collections.abc import Generator
    from importlib.resources.abc import Traversable

    Readable = str | os.PathLike[str] | Traversable


class File(Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields of a file: the parameters of ``HttpGeneric``. ``model`` is the default model."""

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
    """Read the parameters in a file. It's JSON if its name ends in ``.json``, else TOML.

    Raises ConfigurationError with the file, the path within it, and the problem.
    """
    file = Path(path) if isinstance(path, (str, os.PathLike)) else path
    try:
        text = file.read_text("utf-8")
        document = msgspec.json.decode(text) if file.name.lower().endswith(".json") else tomllib.loads(text)
        parameters = msgspec.convert(document, File)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{file} is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:  # errors of JSON, TOML and UTF-8
        raise ConfigurationError(f"{file} can't be parsed: {error}") from None
    values = {name: getattr(parameters, name) for name in parameters.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def read_parameters(path: Readable, model: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters in a file, with ``model`` and ``options`` instead of the file's."""
    parameters = {**read_file(path), **options}
    if model or "model" not in parameters:
        parameters["model"] = model or ""
    return parameters


@contextmanager
def name_file(path: Readable) -> Generator[None, None, None]:
    """Add the file's name to errors about its content."""
    try:
        yield
    except ConfigurationError as error:
        text = str(error)
        raise ConfigurationError(text if text.startswith(str(path)) else f"{path}: {text}") from None
