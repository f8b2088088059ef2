"""What a vendor wants back unchanged, and who made it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Origin(Struct, frozen=True):
    """Who made something.

    ``provider`` is the provider's name ("anthropic"), ``model`` the model as it was requested, ``server`` the scheme,
    host and port ("https://api.anthropic.com"; a default port is left out). An empty model or server matches any.
    """

    provider: str
    model: str = ""
    server: str = ""

    def matches(self, other: Origin) -> bool:
        """Whether both are the same provider, model and server, as far as both of them say."""
        return (
            self.provider == other.provider
            and (self.model == other.model or not self.model or not other.model)
            and (self.server == other.server or not self.server or not other.server)
        )


class State(Struct, frozen=True):
    """What a vendor's block holds beside the fields of its part: a signature, encrypted content, an id.

    ``data`` has the fields in the vendor's own shape. They're merged back under the part's fields when the part returns
    to its ``origin``, so that the block goes back as it came. Other vendors never see them.
    """

    origin: Origin
    data: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"State(origin={self.origin!r}, data=<{', '.join(self.data)}>)"  # signatures and ciphertext are long


BLOCK_END = State(Origin(""))
"""In ``Delta.state``: the text or reasoning that is open ends here. What follows is a part of its own."""
