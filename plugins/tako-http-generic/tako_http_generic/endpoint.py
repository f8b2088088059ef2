"""An endpoint's settings, compiled: pointers into its replies, its address, its words and its codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import errors
from tako.errors import ConfigurationError, ProviderError
from tako.json_values import text_of
from tako.kit.failures import Facts, facts_of
from tako.kit.http import TransportOptions
from tako_http_generic.calls import CallReader
from tako_http_generic.pointers import Paths
from tako_http_generic.usage import WORDS, Counter, read_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.keywords import RequestOptions
    from tako.types import FinishReason
    from tako.url_prefetch import UrlPrefetch
    from tako_http_generic.pointers import Pointers
    from tako_http_generic.settings import Format, ToolCalls


USUAL = ["/error", "/errors"]
"""Where an error is if nothing else is said."""


class Options(TransportOptions, total=False):
    """What else says how an endpoint is asked and read.

    ``messages_format``: the shape of messages, tools and their kin: "tako", "openai", "anthropic" or "ollama".
    ``stream_body_template``, ``stream_url``: instead of the others where a stream is asked for. ``query``: parameters
    that are added to the URL. ``reasoning_pointer``, ``id_pointer``, ``model_pointer``: where those stand in a reply.
    ``finish_reasons``: the endpoint's words to tako's; the usual ones are known. ``finish_from_calls``: a reply with
    calls that ends with "stop" ends with "tool_calls". ``usage_fields``: tako's counts to pointers that start where
    ``usage_pointer`` leads; the usual ones are known. ``error_codes``: an error's status or code to the name of its
    class in ``tako.errors``. ``error_message_pointer``, ``error_code_pointer``: where an error says what and which.
    ``url_prefetch``: whether tako fetches images and files that the endpoint can't, and by which policy.
    """

    messages_format: Format
    defaults: RequestOptions
    stream_body_template: Any
    stream_url: str | None
    query: Mapping[str, str]
    reasoning_pointer: Pointers | None
    id_pointer: Pointers | None
    model_pointer: Pointers | None
    finish_reasons: Mapping[str, str]
    finish_from_calls: bool
    usage_fields: Mapping[str, str | list[str]]
    error_codes: Mapping[str, str]
    error_message_pointer: Pointers | None
    error_code_pointer: Pointers | None
    url_prefetch: bool | UrlPrefetch


class Reader:
    """Where everything stands in a whole reply; streams share its words and counts."""

    def __init__(
        self,
        owner: str,
        options: Options,
        *,
        text: Pointers,
        usage: Pointers | None,
        finish: Pointers | None,
        tool_calls: ToolCalls | str | None,
        error: Pointers | None,
    ) -> None:
        def compiled(option: str, given: Pointers | None) -> Paths | None:
            return None if given is None else Paths(given, f"{owner}: {option}")

        self.text = Paths(text, f"{owner}: response_text_pointer")
        self.usage = compiled("usage_pointer", usage)
        self.finish = compiled("finish_reason_pointer", finish)
        self.reasoning = compiled("reasoning_pointer", options.get("reasoning_pointer"))
        self.id = compiled("id_pointer", options.get("id_pointer", "/id"))
        self.model = compiled("model_pointer", options.get("model_pointer", "/model"))
        self.calls = CallReader(tool_calls, f"{owner}: tool_calls") if tool_calls is not None else None
        self.error_place = error_places(error)
        self.error = Paths(self.error_place, f"{owner}: error_pointer")
        self.counter = Counter(options.get("usage_fields", {}), owner)
        self.words: dict[str, FinishReason] = {**WORDS, **read_words(options.get("finish_reasons", {}), owner)}
        self.trust_calls = options.get("finish_from_calls", False)
        self._message = compiled("error_message_pointer", options.get("error_message_pointer"))
        self._code = compiled("error_code_pointer", options.get("error_code_pointer"))

    def facts(self, doc: Any, reported: Any = None) -> Facts:
        """Read what an error says; ``reported`` is what a pointer has found already."""
        said = reported or self.error.get(doc)
        usual = said is None or self.error_place == USUAL
        facts = facts_of(doc) if usual else facts_of({"error": said})
        message = text_of(self._message.get(doc)) if self._message is not None else ""
        code = self._code.get(doc) if self._code is not None else None
        codes = [str(code)] if isinstance(code, (str, int)) and code != "" else []
        return replace(facts, message=message or facts.message, codes=[*codes, *facts.codes])


def error_places(given: Pointers | None) -> Pointers:
    """Return where an error may be: a gateway that has one under ``/error`` may tell several under ``/errors``."""
    if given in (None, "/error"):
        return USUAL
    return [*given, "/errors"] if isinstance(given, (list, tuple)) and "/error" in given else given


def read_codes(given: Mapping[str, str], owner: str) -> dict[str, type[ProviderError]]:
    """Return error classes by status or code; raises ConfigurationError on a name that is no such class."""
    read: dict[str, type[ProviderError]] = {}
    for code, name in given.items():
        found = getattr(errors, name, None) if isinstance(name, str) else None
        if not (isinstance(found, type) and issubclass(found, ProviderError)):
            raise ConfigurationError(f"{owner}: error_codes.{code} is {name!r}, which isn't a class of ProviderError")
        read[str(code)] = found
    return read
