"""What each vendor takes of names and schemas of tools, and of the schema of a reply.

Sources, as of November 2026: OpenAI's "Structured outputs" (supported schemas) and "Function calling"; Azure's
"Structured outputs" (unsupported type-specific keywords); Anthropic's "Structured outputs" (JSON Schema limitations)
and ``transform_schema`` of anthropic 2.14; AWS's "Get validated JSON results from models" and botocore 1.44
(``ToolName``); Nova's "Tool use" (the top-level object has only type, properties and required); google-genai 3.6
(``FunctionDeclaration.name``, ``response_json_schema``); ``rec_strict_json_schema`` of mistralai 3.7;
``ToolProperty`` of Ollama's api/types.go.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from tako.kit.schemas.rules import Rules
from tako.kit.schemas.tool_names import Names


class Wire(Struct, frozen=True, eq=False, kw_only=True):
    """What one vendor takes.

    - ``vendor``: how it's called in notices. ``names``: of tools, None if it takes any.
    - ``tools``: the schemas of tools; ``strict_tools``: of those that are strict, None if none
      are.
    - ``output``: the schema of a reply. ``loose_output``: of one that isn't strict, None if there is only one kind.
    - ``json_mode``: it has JSON without a schema. ``needs_json_in_prompt``: then the prompt has to say "JSON".
    - ``is_converse``: it's Converse, which takes no schemas for some models that take them elsewhere.
    """

    vendor: str
    names: Names | None
    tools: Rules
    output: Rules
    strict_tools: Rules | None = None
    loose_output: Rules | None = None
    json_mode: bool = False
    needs_json_in_prompt: bool = False
    is_converse: bool = False


STRUCTURE = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs")
)
NUMBERS = ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
DESCRIPTIONS = frozenset(("title", "description"))
COMBINATORS = frozenset(("anyOf", "oneOf", "allOf"))
FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))

_OPENAI_STRICT = Rules(
    keywords=STRUCTURE | DESCRIPTIONS | {*NUMBERS, "pattern", "format", "minItems", "maxItems"},
    formats=FORMATS,
    only_objects=True,
    closed=True,
    all_required=True,
    typed=True,
    has_items=True,
    ref_alone=True,
    max_properties=5000,
    max_enum=1000,
    max_depth=10,
)
_OPENAI_ROOT = COMBINATORS | {"enum", "const", "not"}
_OPENAI_STRICT_TOOL = replace(
    _OPENAI_STRICT, only_objects=False, object_root=True, root_properties=True, not_in_root=_OPENAI_ROOT
)
OPENAI = Wire(
    vendor="OpenAI",
    names=Names(),
    tools=Rules(object_root=True, root_properties=True, not_in_root=_OPENAI_ROOT, has_items=True),
    strict_tools=_OPENAI_STRICT_TOOL,
    output=_OPENAI_STRICT,
    loose_output=Rules(only_objects=True),
    json_mode=True,
    needs_json_in_prompt=True,
)
_AZURE = STRUCTURE | DESCRIPTIONS
AZURE = replace(
    OPENAI,
    vendor="Azure",
    strict_tools=replace(_OPENAI_STRICT_TOOL, keywords=_AZURE),
    output=replace(OPENAI.output, keywords=_AZURE),
)

_CLAUDE_STRICT = Rules(
    keywords=STRUCTURE | DESCRIPTIONS | {"format", "minItems"},
    formats=FORMATS | {"uri"},
    closed=True,
    typed=True,
    recursive=False,
    ref_alone=True,
    max_min_items=1,
)
ANTHROPIC = Wire(
    vendor="Anthropic",
    names=Names(longest=128),
    tools=Rules(object_root=True, not_in_root=COMBINATORS),
    strict_tools=replace(_CLAUDE_STRICT, object_root=True, root_properties=True, not_in_root=COMBINATORS),
    output=_CLAUDE_STRICT,
)
CONVERSE = replace(ANTHROPIC, vendor="Bedrock", names=Names(), is_converse=True)
NOVA = replace(
    CONVERSE,
    tools=replace(CONVERSE.tools, root_keywords=frozenset(("type", "properties", "required")), inline=True),
)

_NOT_GEMINI = frozenset(("allOf", "const"))
GEMINI = Wire(
    vendor="Gemini",
    names=Names(other=re.compile(r"[^a-zA-Z0-9_.-]"), first=re.compile(r"[a-zA-Z_]")),
    tools=Rules(
        object_root=True,
        not_in_root=COMBINATORS,
        unsupported=_NOT_GEMINI,
        has_items=True,
        recursive="optional",
        ref_alone=True,
        known_required=True,
    ),
    output=Rules(unsupported=_NOT_GEMINI, has_items=True, recursive="optional", ref_alone=True, known_required=True),
    json_mode=True,
)
_NOT_MISTRAL = frozenset(("allOf", "not", "if", "then", "else", "dependentSchemas"))
"""Words that contradict objects which are closed one by one."""
MISTRAL = Wire(
    vendor="Mistral",
    names=Names(),
    tools=Rules(object_root=True, not_in_root=COMBINATORS),
    strict_tools=Rules(
        object_root=True, root_properties=True, not_in_root=COMBINATORS, unsupported=_NOT_MISTRAL, closed=True
    ),
    output=Rules(unsupported=_NOT_MISTRAL, closed=True),
    loose_output=Rules(),
    json_mode=True,
)
_OLLAMA = frozenset(("type", "properties", "required", "items", "description", "enum", "anyOf"))
OLLAMA = Wire(
    vendor="Ollama",
    names=None,
    tools=Rules(object_root=True, not_in_root=COMBINATORS, keywords=_OLLAMA, inline=True),
    output=Rules(),
    json_mode=True,
)
PLAIN = Wire(vendor="the server", names=None, tools=Rules(), output=Rules(), json_mode=True)
"""A server that takes whatever JSON Schema says."""
