"""The guard broken one rule at a time: the attack list catches it every time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from .mutations import MUTATIONS, Mutation, catch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.module}: {mutation.name}")
def test_a_broken_rule_is_caught(mutation: Mutation) -> None:
    assert catch(mutation) is not None


def test_there_are_many_and_each_is_one() -> None:
    assert len(MUTATIONS) >= 25
    assert len({(mutation.module, mutation.old, mutation.new) for mutation in MUTATIONS}) == len(MUTATIONS)
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
