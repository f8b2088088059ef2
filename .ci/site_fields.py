"""A Griffe extension for the reference: it moves descriptions to fields, and turns examples into code.

A class lists its fields under ``Attributes:`` in its docstring. This moves each description to the field, so that the
reference shows it next to the field's type and default. ``text::`` before an example becomes ``text:``, which is
Markdown.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"::(?=\n\n +\S)")
SECTION = re.compile(r"\n*^Attributes:\n(?:(?: +.*)?\n?)*", re.MULTILINE)


class Fields(griffe.Extension):
    """Move the texts of fields from a class's docstring to its fields."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Convert examples to Markdown."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(":", obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Move each description to its field."""
        if not cls.docstring:
            return
        for section in cls.docstring.parse("google"):
            if section.kind is griffe.DocstringSectionKind.attributes:
                for field in section.value:
                    member = cls.members.get(field.name)
                    if member is not None and not member.docstring:
                        member.docstring = griffe.Docstring(field.description, parent=member)
        cls.docstring.value = SECTION.sub("\n\n", cls.docstring.value).strip()
