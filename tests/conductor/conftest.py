"""The vendors, running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tako.testing.server import serve

from .vendors import Vendors

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    created = Vendors()
    with serve(created) as created.server:
        yield created
