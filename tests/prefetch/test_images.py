"""The images of one request, the audit log, cancelling, and what the error says."""

from __future__ import annotations

import base64
import logging
import pickle
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako.errors import UrlPrefetchError
from tako.kit.prefetch import RULES, fetch_image, fetch_images
from tako.kit.prefetch.fetch import MAX_AT_ONCE
from tako.parts import ImagePart
from tako.url_prefetch import UrlPrefetch

from . import clock
from .cases import PUBLIC
from .scripted import JPEG, PNG, Scripted, answer, redirect

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpcore

POLICY = UrlPrefetch(timeout=60)
BACKENDS = ("asyncio", "trio")


class Crowd(Scripted):
    """Connects everyone only when so many have come; counts who came and who was cancelled."""

    def __init__(self, size: int) -> None:
        super().__init__({"a.example": [PUBLIC], "bad.example": ["10.0.0.5"]})
        self.size = size
        self.waiting = self.most = self.cancelled = 0
        self.enough = anyio.Event()

    async def connect_tcp(self, *args: object, **options: object) -> httpcore.AsyncNetworkStream:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting >= self.size:
            self.enough.set()
        try:
            await self.enough.wait()
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return await super().connect_tcp(PUBLIC, 443)


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_are_fetched_at_the_same_time_each_once_and_come_in_order(backend: str) -> None:
    async def run() -> tuple[list[ImagePart], Crowd]:
        world = Crowd(size=3)
        urls = ["https://a.example/1", "https://a.example/2", "https://a.example/1", "https://a.example/3"]
        return await fetch_images(urls, POLICY, network=world.network), world

    images, world = anyio.run(run, backend=backend)
    assert [base64.b64decode(image.data_b64) for image in images] == [PNG] * 4
    assert len(world.dialled) == 3


def test_no_more_than_a_few_run_at_once() -> None:
    async def run() -> Crowd:
        world = Crowd(size=MAX_AT_ONCE)
        await fetch_images([f"https://a.example/{n}" for n in range(3 * MAX_AT_ONCE)], POLICY, network=world.network)
        return world

    assert anyio.run(run).most == MAX_AT_ONCE


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_refusal_cancels_the_rest(backend: str) -> None:
    async def run() -> tuple[UrlPrefetchError, Crowd]:
        world = Crowd(size=99)
        urls = ["https://a.example/1", "https://a.example/2", "https://bad.example/a"]
        with pytest.raises(UrlPrefetchError) as caught:
            await fetch_images(urls, POLICY, network=world.network)
        return caught.value, world

    error, world = anyio.run(run, backend=backend)
    assert (error.host, error.rule, error.option) == ("bad.example", "address", "allow_private_ips=True")
    assert world.cancelled == 2
    assert world.dialled == []


def test_no_urls_are_no_images() -> None:
    async def run() -> list[ImagePart]:
        return await fetch_images([], POLICY)

    assert anyio.run(run) == []


@pytest.mark.parametrize("script", [b"HTTP/1.1 200", answer()[:-1]], ids=["in the headers", "in the body"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelling_closes_the_connection(backend: str, script: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = Scripted({"a.example": [PUBLIC]}, [script], stalls=True)

    async def main() -> bool:
        with anyio.move_on_after(1) as scope:
            await fetch_image("https://a.example/", POLICY, network=world.network)
        return scope.cancelled_caught

    assert clock.run(main, backend=backend)
    assert [stream.closed for stream in world.streams] == [True]
    assert [getattr(record, "verdict", None) for record in caplog.records] == ["cancelled"]


def fetch_all(urls: Sequence[str], world: Scripted, policy: UrlPrefetch = POLICY) -> list[UrlPrefetchError]:
    async def run() -> list[UrlPrefetchError]:
        errors: list[UrlPrefetchError] = []
        for url in urls:
            try:
                await fetch_image(url, policy, network=world.network)
            except UrlPrefetchError as error:
                errors.append(error)
        return errors

    return anyio.run(run)


def test_each_hop_is_one_record_without_path_query_or_resolved_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = Scripted(
        {"a.example": [PUBLIC], "b.example": [PUBLIC], "in.example": ["10.0.0.5"]},
        [redirect("https://b.example/path?token=secret"), answer(), redirect("https://in.example/path?token=secret")],
    )
    fetch_all(["https://user:secret@a.example/path", "https://a.example/path?token=secret"], world)
    fetch_all(["https://a.example/path?token=secret#secret", "nonsense\r\nhost=a.example verdict=fetched"], world)
    records = [record for record in caplog.records if record.name == "tako.prefetch"]
    facts = [(*(getattr(record, name) for name in ("host", "verdict", "rule")), record.levelname) for record in records]
    assert facts == [
        ("a.example", "refused", "userinfo", "WARNING"),
        ("a.example", "redirected", None, "INFO"),
        ("b.example", "fetched", None, "INFO"),
        ("a.example", "redirected", None, "INFO"),
        ("in.example", "refused", "address", "WARNING"),
        ("", "refused", "url", "WARNING"),
    ]
    assert all(record.milliseconds >= 0 for record in records)  # type: ignore[attr-defined]
    for record in records:
        assert record.getMessage().startswith(f"host={record.host} verdict={record.verdict} rule=")  # type: ignore[attr-defined]
        for secret in ("secret", "path", "token", "10.0.0.5", PUBLIC, "\n"):
            assert secret not in record.getMessage()


def test_the_error_names_the_host_the_rule_and_the_option() -> None:
    world = Scripted({"a.example": ["10.0.0.5"], "b.example": [PUBLIC]}, [redirect("https://a.example/")])
    first, second = fetch_all(["https://A.example/x?y", "https://b.example/x?y"], world)
    assert str(first) == (
        "can't fetch the image from a.example: its address is a private one (rule: address); "
        "an entry in allow_hosts or allow_cidrs, or allow_private_ips=True, would allow it"
    )
    assert (first.host, first.rule, first.option) == ("a.example", "address", "allow_private_ips=True")
    assert (second.host, second.rule, second.option) == ("b.example", "address", "allow_private_ips=True")
    assert "after redirect 1" in str(second)
    assert "a.example" not in str(second), "where it leads is a piece of the answer"
    assert pickle.loads(pickle.dumps(first)).rule == "address"
    assert first.rule in RULES


def test_the_type_is_the_declared_one_in_lower_case() -> None:
    world = Scripted({"a.example": [PUBLIC]}, [answer(JPEG, type="Image/JPEG; q=1")])

    async def run() -> ImagePart:
        return await fetch_image("https://a.example/", POLICY, network=world.network)

    assert anyio.run(run) == ImagePart("image/jpeg", base64.b64encode(JPEG).decode())


@settings(max_examples=40, deadline=None)
@given(tail=st.binary(max_size=200), cuts=st.lists(st.integers(1, 300), max_size=6))
def test_every_byte_arrives_however_it_is_cut(tail: bytes, cuts: list[int]) -> None:
    body = PNG + tail
    response = answer(body)
    pieces = [
        response[start:end] for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(response)], strict=True)
    ]
    world = Scripted({"a.example": [PUBLIC]}, [[piece for piece in pieces if piece]])

    async def run() -> ImagePart:
        return await fetch_image("https://a.example/", POLICY, network=world.network)

    assert base64.b64decode(anyio.run(run).data_b64) == body
