"""The whole attack list, on both event loops."""

from __future__ import annotations

from collections import Counter

import pytest

from tako.errors import UrlPrefetchError
from tako.kit.prefetch import fetch_file, fetch_image
from tako.url_prefetch import UrlPrefetch

from . import attack_addresses, attack_documents, attack_responses, attack_urls
from .cases import PUBLIC, Case, failing
from .clock import run
from .scripted import Scripted, answer

CASES = (*attack_addresses.CASES, *attack_urls.CASES, *attack_responses.CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_guard_holds(case: Case) -> None:
    assert run(failing, case, fetch_image, UrlPrefetch) is None


def test_the_guard_holds_on_trio() -> None:
    async def main() -> dict[str, str]:
        problems = {case.name: await failing(case, fetch_image, UrlPrefetch) for case in CASES}
        return {name: wrong for name, wrong in problems.items() if wrong}

    assert run(main, backend="trio") == {}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_guard_holds_for_documents_text_audio_and_video(backend: str) -> None:
    async def main() -> dict[str, str]:
        problems = {case.name: await failing(case, fetch_file, UrlPrefetch) for case in attack_documents.CASES}
        return {name: wrong for name, wrong in problems.items() if wrong}

    assert run(main, backend=backend) == {}
    assert len(attack_documents.CASES) > len(CASES)


def test_a_file_has_to_be_of_the_type_that_was_asked_for() -> None:
    pdf, page = attack_documents.PDF, b"<html>Please sign in</html>"

    async def rule(mime: str | None, answered: bytes) -> str:
        world = Scripted({"a.example": [PUBLIC]}, [answered])
        try:
            return (await fetch_file("https://a.example/", UrlPrefetch(), mime, network=world.network)).mime
        except UrlPrefetchError as error:
            return error.rule

    async def main() -> list[str]:
        return [
            await rule("application/pdf", answer(pdf, type="application/pdf")),
            await rule("application/pdf", answer(page, type="text/html")),
            await rule(None, answer(page, type="text/html")),
            await rule("audio/x-wav", answer(b"RIFF\0\0\0\0WAVE", type="audio/wav")),
            await rule("application/x-executable", answer(pdf, type="application/x-executable")),
        ]

    assert run(main) == ["application/pdf", "type", "text/html", "audio/wav", "type"]


def test_the_list_is_long_and_each_of_its_names_is_one_case() -> None:
    attacks = [case for case in CASES if case.rule]
    assert len(attacks) >= 150
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
