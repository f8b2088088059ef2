"""The text of an error is one line that a terminal can show, whatever a server put into it; and how long to wait."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tako.errors import LONGEST, ConfigurationError, PluginError, ProviderError, TakoError, one_line
from tako.kit.failures import Facts, facts_of, make_error, read_facts
from tako.kit.retry_after import retry_after
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    At = Callable[..., Provider]

ODD = (
    "first\r\n\tsecond \x1b[31mred\x1b[0m \x1b]0;title\x07\x9b2Jthird "
    "\u202egnp.exe\u202c \x00\x7f\ud83d fourth\u2028fifth"
)
PLAIN = "first second red third gnp.exe \ufffd fourth fifth"
UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
VENDORS = ("openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex")


def failing(provider: Provider, streamed: bool) -> TakoError:
    with pytest.raises(TakoError) as caught:
        asyncio.run(provider.stream("hi").response() if streamed else provider.chat("hi"))  # type: ignore[arg-type]
    return caught.value


def is_line(text: str) -> bool:
    return not UNSHOWABLE.search(text) and len(text) <= LONGEST


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_s_words_become_one_line(name: str, status: int, streamed: bool, at: At) -> None:
    message = ODD.replace("\ud83d", "\\ud83d")
    body = {"error": {"message": message, "code": "odd\n\x1b[31mcode", "type": "odd\ntype"}, "message": message}
    ids = {"x-request-id": "id\t\u202e1", "x-amzn-requestid": "id\t1"}
    with serve(reply(json=body, status=status, headers=ids)) as server:
        error = failing(at(name, server.url, max_retries=0), streamed)
    assert is_line(str(error)), repr(str(error))
    assert isinstance(error, ProviderError)
    assert is_line(f"{error.code}{error.request_id}")
    if status != 200:
        assert all(phrase in str(error) for phrase in ("first second", "third", "fourth fifth"))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_s_endless_words_are_cut(name: str, streamed: bool, at: At) -> None:
    text = "so long " * 20_000
    for body in ({"error": {"message": text, "code": text}, "message": text}, {"odd": text}, [text]):
        with serve(reply(json=body, status=400, headers={"x-request-id": "i" * 5000})) as server:
            error = failing(at(name, server.url, max_retries=0), streamed)
        assert is_line(str(error)), len(str(error))


def test_every_error_is_one_line() -> None:
    for cls in (TakoError, ConfigurationError, PluginError, ProviderError):
        error = cls(ODD)
        assert str(error) == PLAIN
        error.args = ("x\ny" * LONGEST,)  # whoever puts more words to it
        assert is_line(str(error))


def test_the_request_s_id_outlives_a_long_message() -> None:
    error = ProviderError("x" * 10_000, provider="openai", model="m", request_id="req-1")
    assert str(error).startswith("openai:m: xxx")
    assert str(error).endswith("… (request req-1)")
    assert len(str(error)) <= LONGEST


@given(st.text())
def test_any_text_becomes_a_line(text: str) -> None:
    line = one_line(text, 50)
    assert not UNSHOWABLE.search(line)
    assert len(line) <= 50
    if text.isprintable() and len(text) <= 50:
        assert line == text


def test_letters_of_all_scripts_stay() -> None:
    for text in ("naïve", "\u0645\u06cc\u200c\u062e", "👩\u200d🚀", "日本語　です", "e\u0301"):
        assert one_line(text) == " ".join(text.split())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": " 0.5\t"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ms-retry-after-ms": "7000"}, 7.0),
        ({"retry-after-ms": "nonsense", "x-ms-retry-after-ms": "7000", "retry-after": "9"}, 7.0),
        ({"retry-after": format_datetime(datetime.now(UTC) - timedelta(hours=1))}, 0.0),
        *[
            ({"retry-after": text}, None)
            for text in (
                "",
                "soon",
                "-1",
                "1e9",
                "inf",
                "nan",
                "\x1c5",
                "5\x1f",
                "\x1d",
                "\uff15",
                "9" * 5000,
                "5;6",
                "\udc80",
            )
        ],
    ],
)
def test_a_server_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_a_retry_after_of_any_bytes_is_a_number_of_seconds_or_none(text: str) -> None:
    seconds = retry_after({"retry-after": text, "retry-after-ms": text, "x-ms-retry-after-ms": text})
    assert seconds is None or 0 <= seconds < float("inf")


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "msg", "loc", "type", "status"]) | st.text(), inner
        )
    ),
    max_leaves=12,
)


@given(nested)
def test_an_error_s_body_of_any_shape_becomes_an_error(value: Any) -> None:
    error = make_error(facts_of(value), codes={}, status=400, headers={}, body="")
    assert is_line(str(error))
    assert error.status_code == 400


@pytest.mark.parametrize("opening", ['{"error":', "[", '{"detail":', '{"error":{"message":', '{"message":['])
def test_an_error_s_body_nested_without_end_becomes_an_error(opening: str) -> None:
    closing = "".join({"{": "}", "[": "]"}[one] for one in reversed(opening) if one in "{[")
    for depth in (50, 300, 900, 5000, 100_000):
        facts = read_facts((opening * depth + "1" + closing * depth).encode())
        assert is_line(str(make_error(facts, codes={}, status=400, headers={}, body="")))


def test_an_error_made_of_odd_facts_has_bounded_words() -> None:
    error = make_error(Facts("m", ["c\n" * 5000]), codes={}, status=None, headers={"x-request-id": "i" * 5000}, body="")
    assert len(error.code or "") <= 200 >= len(error.request_id or "")
