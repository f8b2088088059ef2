"""A provider with any name, any address and any table."""

from __future__ import annotations

from typing import Any

import pytest

from tako import Capabilities, Provider, hookimpl


class Acme(Provider):
    """A provider with the capabilities that it gets."""

    def __init__(self, model: str, *, name: str = "acme", base_url: str | None = None, **values: Any) -> None:
        self.__dict__["name"] = name
        super().__init__(model, capabilities=values.pop("passed", None))
        self.base_url = base_url
        self.values = Capabilities(**values)


@hookimpl
def tako_capabilities(provider: Acme) -> Capabilities:
    return provider.values


@pytest.fixture
def acme() -> type[Acme]:
    return Acme
