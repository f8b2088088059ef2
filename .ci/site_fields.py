"""What the reference shows, for Griffe: fields with their defaults and texts, and examples as code.

A class lists its fields under ``Attributes:`` in its docstring. Here each text moves to the field itself, so that the
reference shows it beside the field's type and default. ``text::`` before an example becomes ``text:``, which is
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
        """Write examples as Markdown does."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(":", obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Give each field its text."""
        if not cls.docstring:
            return
        for section in cls.docstring.parse("google"):
            if section.kind is griffe.DocstringSectionKind.attributes:
                for field in section.value:
                    member = cls.members.get(field.name)
                    if member is not None and not member.docstring:
                        member.docstring = griffe.Docstring(field.description, parent=member)
        cls.docstring.value = SECTION.sub("\n\n", cls.docstring.value).strip()
