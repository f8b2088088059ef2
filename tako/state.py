"""State that a vendor wants back unchanged, and its origin."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Origin(Struct, frozen=True):
    """Who made something.

    Attributes:
        provider: The provider's name, such as "anthropic".
        model: The model as you requested it. "" matches any.
        server: Scheme, host and port, such as "https://api.anthropic.com". A default port is left out. "" matches any.
    """

    provider: str
    model: str = ""
    server: str = ""

    def matches(self, other: Origin) -> bool:
        """Whether both have the same provider, model and server. Empty fields match any."""
        return (
            self.provider == other.provider
            and (self.model == other.model or not self.model or not other.model)
            and (self.server == other.server or not self.server or not other.server)
        )


class State(Struct, frozen=True):
    """What a vendor's block holds beside the fields of its part: a signature, encrypted content, an id.

    When the part goes back to its origin, the data is merged back in, so the vendor gets its block unchanged. Other
    vendors never get it.

    Attributes:
        origin: Who made it.
        data: The fields, in the vendor's own shape.
    """

    origin: Origin
    data: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"State(origin={self.origin!r}, data=<{', '.join(self.data)}>)"  # signatures and ciphertext are long


BLOCK_END = State(Origin(""))
"""In ``Delta.state``: the text or reasoning that is open ends here. What follows is a part of its own."""
