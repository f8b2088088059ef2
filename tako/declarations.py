"""What a request declares: the tools that a model may call, and the schema of its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from tako.json_values import text_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Tool(Struct, frozen=True, dict=True, tag_field="kind", tag="function"):
    """A function that the model may call.

    Attributes:
        name: The tool's name.
        description: What it does, for the model.
        input_schema: The JSON Schema of its arguments.
        strict: Whether the vendor must hold the arguments to the schema. None is the vendor's default.
        cache: Cache the request up to this tool: True, or how long, as the vendor spells it ("5m", "1h").
        extra: More fields of the vendor's declaration, merged in last.
    """

    name: str
    description: str = ""
    input_schema: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    cache: bool | str = False
    extra: dict[str, Any] = {}

    @staticmethod
    def of(
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
        cache: bool | str = False,
    ) -> Tool:
        """Make a tool from a function. Its name, docstring and annotations tell the model how to call it.

        ``provider.run`` calls the function. JSON and pickles only keep the declaration. Raises ConfigurationError if
        JSON can't be read into the type of a parameter.
        """
        from tako.tools import tool_of

        return tool_of(function, name=name, description=description, strict=strict, cache=cache)

    @staticmethod
    def vendor(provider: str, block: dict[str, Any]) -> VendorTool:
        """Make a tool that one vendor ("anthropic") runs on its side, in that vendor's shape."""
        return VendorTool(provider, block)


ToolSchema = Tool
"""Another name for Tool."""


class VendorTool(Struct, frozen=True, tag_field="kind", tag="vendor"):
    """A tool that one vendor runs on its side, such as web search. Other vendors don't get it.

    Attributes:
        provider: The provider's name ("anthropic").
        block: The declaration in the vendor's own shape.
    """

    provider: str
    block: dict[str, Any]

    @property
    def name(self) -> str:
        """The block's name, else its type. "" if it has neither."""
        return text_of(self.block.get("name")) or text_of(self.block.get("type"))

    @property
    def description(self) -> str:
        """The block's description, usually ""."""
        return text_of(self.block.get("description"))


class JsonSchema(Struct, frozen=True):
    """A schema that the reply's text must match, for ``response_format``.

    Attributes:
        name: The schema's name, which some vendors require.
        schema: The JSON Schema.
        strict: Whether the vendor must hold the reply to it.
    """

    name: str
    schema: dict[str, Any]
    strict: bool = True
