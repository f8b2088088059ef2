"""Names and schemas of tools, and schemas of replies, in the form that each vendor takes.

- ``adapt(request, context, wire, model)`` makes a request such as the vendor takes it, and notes what it changes. A
  plugin calls it first of all that encodes a request.
- A ``Wire`` says what a vendor takes: ``OPENAI``, ``AZURE``, ``ANTHROPIC``, ``CONVERSE``, ``NOVA``, ``GEMINI``,
  ``MISTRAL`` and ``OLLAMA``; ``PLAIN`` is for servers that take everything. Make your own of one by
  ``msgspec.structs.replace(OPENAI, …)``.
- ``adapt_schema(schema, rules)`` makes one schema fit: ``adapt_schema(schema, OPENAI.output)`` is its strict form.
- ``without_added_nulls(value, schema)`` takes out of a reply the nulls that strict modes made of optional properties.

For typed replies: put the schema of the type into ``JsonSchema(name, schema)`` and ask. The provider writes it as its
vendor wants it, or puts it into the system's text. Wrap lists and unions in an object, since OpenAI takes no other
root. Before you check the reply, call ``without_added_nulls(data, schema)`` with your own schema.
"""

from tako.kit.schemas.adapted import AdaptedSchema, adapt_schema
from tako.kit.schemas.own_names import OwnNamesDecoder, with_own_names
from tako.kit.schemas.request import adapt
from tako.kit.schemas.rules import Rules, UnsupportedSchema
from tako.kit.schemas.tool_names import Names
from tako.kit.schemas.wires import ANTHROPIC, AZURE, CONVERSE, GEMINI, MISTRAL, NOVA, OLLAMA, OPENAI, PLAIN, Wire
from tako.schema.nulls import without_added_nulls

__all__ = [
    "ANTHROPIC",
    "AZURE",
    "CONVERSE",
    "GEMINI",
    "MISTRAL",
    "NOVA",
    "OLLAMA",
    "OPENAI",
    "PLAIN",
    "AdaptedSchema",
    "Names",
    "OwnNamesDecoder",
    "Rules",
    "UnsupportedSchema",
    "Wire",
    "adapt",
    "adapt_schema",
    "with_own_names",
    "without_added_nulls",
]
