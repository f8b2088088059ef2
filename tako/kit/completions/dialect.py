"""How one vendor's Chat Completions differ from OpenAI's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from tako.kit.completions.files import encode_file
from tako.kit.completions.ids import call_ids
from tako.kit.families import bare_name
from tako.kit.files import Media
from tako.kit.finish_reasons import FINISH_REASONS
from tako.kit.schemas.wires import OPENAI, Wire
from tako.translator import PartContext
from tako.types import FinishReason


class Dialect(Struct, frozen=True, kw_only=True):
    """The differences that a vendor, or one model, has.

    - ``max_tokens`` and ``seed`` name the fields of those parameters. ``required`` is the word for "call some tool".
    - ``stream_usage``: ask for usage by ``stream_options``. ``metadata``: the wire has it.
    - ``reasoning_effort``: the effort's field, None if there is none. ``least_effort``: its word for a budget of 0.
    - ``tools_beside_effort``: tools are taken beside an effort. ``reasons_unasked``: a model that's given no effort
      has one.
    - ``reasoning_text``: the field in which reasoning goes back to who made it. None is the one in which it came, ""
      is for servers that take none.
    - ``refusal``: an assistant message may have one; else it goes out as text.
    - ``sampling``: temperature and top_p are taken; ``sampling_beside_effort``: also beside an effort.
    - ``stops``: the most stop sequences, None if there is no such limit.
    - ``cache_mark``: the field of a chunk of content that marks the end of what is cached, None if there is none.
    - ``finish_reasons``: what the vendor's finish words mean; others are OTHER.
    - ``call_ids(id)``: the ids that may stand for one that another origin made, the best first: itself if it fits.
    - ``file(media)``: the chunk of a file, None if the wire has none for it. Text then goes out as text.
    - ``arrange(messages, context)``: puts encoded messages in the order that the vendor wants, and notes what it does.
    - ``needs``: the API that the model needs: "chat" is for older ones, "responses" for those that have no other one.
    - ``wire``: what it takes of names and schemas.
    - ``require_finish``: a stream without a finish reason and without ``[DONE]`` is truncated.
    """

    max_tokens: str = "max_tokens"
    seed: str = "seed"
    required: str = "required"
    stream_usage: bool = True
    metadata: bool = True
    reasoning_effort: str | None = "reasoning_effort"
    least_effort: str = "none"
    tools_beside_effort: bool = True
    reasons_unasked: bool = False
    reasoning_text: str | None = None
    refusal: bool = True
    sampling: bool = True
    sampling_beside_effort: bool = True
    stops: int | None = None
    cache_mark: str | None = None
    finish_reasons: Mapping[str, FinishReason] = field(default_factory=lambda: FINISH_REASONS)
    call_ids: Callable[[str], Iterator[str]] = call_ids
    file: Callable[[Media], dict[str, Any] | None] = encode_file
    arrange: Callable[[list[dict[str, Any]], PartContext], list[dict[str, Any]]] | None = None
    needs: Literal["", "chat", "responses"] = ""
    wire: Wire = OPENAI
    require_finish: bool = True


_OWN_LIMIT = {"max_tokens": "max_completion_tokens"}
_LATE: Mapping[str, Any] = {
    **_OWN_LIMIT,
    "sampling_beside_effort": False,
    "stops": 0,
    "cache_mark": "prompt_cache_breakpoint",
    "tools_beside_effort": False,
    "reasons_unasked": True,
}
OPENAI_MODELS: tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...] = (
    (re.compile(r"gpt-audio|gpt-5-search"), {"reasoning_effort": None, "needs": "chat"}),
    (re.compile(r"gpt-5(\.\d+)?-chat"), {**_OWN_LIMIT, "reasoning_effort": None, "stops": 4}),
    (re.compile(r"o1|o3-mini"), {**_OWN_LIMIT, "least_effort": "low", "sampling": False, "stops": 4}),
    (re.compile(r"o\d"), {**_OWN_LIMIT, "least_effort": "low", "sampling": False, "stops": 0}),
    (re.compile(r"gpt-5(?!\.)"), {**_OWN_LIMIT, "least_effort": "minimal", "sampling": False, "stops": 0}),
    (re.compile(r"gpt-6-astra"), {**_LATE, "least_effort": "low", "sampling": False}),
    (re.compile(r"gpt-6\.1-sol"), {**_LATE, "least_effort": "low"}),
    (re.compile(r"gpt-5\.([6-9]|\d\d)|gpt-[6-9]"), _LATE),
    (re.compile(r"gpt-5\.5"), {**_LATE, "cache_mark": None}),
    (re.compile(r"gpt-5\.4"), {**_LATE, "cache_mark": None, "reasons_unasked": False}),
    (re.compile(r"gpt-[5-9]|codex"), {**_OWN_LIMIT, "sampling_beside_effort": False, "stops": 0}),
    (re.compile(r"gpt-[34]|chatgpt-"), {"reasoning_effort": None, "stops": 4, "needs": "chat"}),
)
"""What OpenAI's models differ in, by the beginning of their names; the first that matches decides.

Models that reason count that within ``max_completion_tokens`` and refuse ``max_tokens``, sampling (from gpt-5.1 on only
beside an effort), and, all but the first of them, ``stop``; the others know no effort
(https://platform.openai.com/docs/guides/reasoning and .../api-reference/chat/create, November 2026).
"""


RESPONSES_ALONE = re.compile(
    r"(gpt-|o\d).*(-pro\b|-deep-research|-codex-max|-cyber|-rosalind|-astra-law)|gpt-(5-codex|daybreak|rosalind)"
    r"|computer-use"
)
"""Models that no other API serves: ``ResponsesModel`` of openai 3.57, without ``ChatModel``."""


def for_openai(dialect: Dialect, model: str) -> Dialect:
    """Return how the wire of one of OpenAI's models differs, wherever it is served ("openai/gpt-5")."""
    changes = _changes(bare_name(model))
    return replace(dialect, **changes) if changes else dialect


@lru_cache(256)
def _changes(name: str) -> Mapping[str, Any]:
    none: Mapping[str, Any] = {}
    changes = next((changes for pattern, changes in OPENAI_MODELS if pattern.match(name)), none)
    return {**changes, "needs": "responses"} if RESPONSES_ALONE.match(name) else changes
