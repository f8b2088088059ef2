"""Schemas of every kind that tools and types come with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMAS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
"""By kind."""
TOO_LARGE: dict[str, dict[str, Any]] = {
    "many ways": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {
            **{
                f"d{n}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/d{n + 1}"} for side in "lr"}}
                for n in range(40)
            },
            "d40": {"type": "string"},
        },
    },
    "deep": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {
            **{f"d{n}": {"type": "array", "items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(600)},
            "d600": {"type": "string"},
        },
    },
}
"""Schemas that grow without end where references are followed."""
