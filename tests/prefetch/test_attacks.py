"""The whole attack list, on both event loops."""

from __future__ import annotations

from collections import Counter

import pytest

from tako.kit.prefetch import fetch_image
from tako.url_prefetch import UrlPrefetch

from . import attack_addresses, attack_answers, attack_urls
from .cases import Case, failing
from .clock import run

CASES = (*attack_addresses.CASES, *attack_urls.CASES, *attack_answers.CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_guard_holds(case: Case) -> None:
    assert run(failing, case, fetch_image, UrlPrefetch) is None


def test_the_guard_holds_on_trio() -> None:
    async def main() -> dict[str, str]:
        found = {case.name: await failing(case, fetch_image, UrlPrefetch) for case in CASES}
        return {name: wrong for name, wrong in found.items() if wrong}

    assert run(main, backend="trio") == {}


def test_the_list_is_long_and_each_of_its_names_is_one_case() -> None:
    attacks = [case for case in CASES if case.rule]
    assert len(attacks) >= 150
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
