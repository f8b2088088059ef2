"""A key that a server or a transport repeats shows nowhere: every vendor, every place, whole, escaped, and cut."""

from __future__ import annotations

import asyncio
import pickle
import threading
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from tako.errors import ProviderError, TakoError
from tako.kit.keys import Secret, scrub
from tako.providers import HttpGeneric, OpenAI
from tako.testing.eventstream import CONTENT_TYPE, event, exception
from tako.testing.server import Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    At = Callable[..., Provider]

CANARY = "sk-CANARY/KEY+0123456789abcdef="
MARKER = "CANARY"
KEYS: dict[str, dict[str, Any]] = {
    "openai": {"api_key": CANARY},
    "azure-openai": {"api_key": CANARY},
    "anthropic": {"api_key": CANARY},
    "mistral": {"api_key": CANARY},
    "ollama": {"api_key": CANARY},
    "bedrock": {},
    "vertex": {"access_token": CANARY},
}


def echo(text: str) -> dict[str, Reply]:
    """Ways in which a server may repeat what it was sent, whatever wire it is."""
    body = {"error": {"message": f"bad key {text}", "code": text, "type": text, "status": text}, "message": text}
    json = msgspec.json.encode(body)
    plain = reply(f"{'.' * 70} your header was Bearer {text}, really")
    return {
        "a refusal": reply(json=body, status=401),
        "its id": reply(json={"error": {"message": "no"}}, status=401, headers={"x-request-id": f"id-{text}"}),
        "a refusal that is no JSON": reply(f"<b>{text}</b>", status=502),
        "an id of a vendor": reply(json={}, status=500, headers={"x-amzn-requestid": text, "x-amzn-errortype": text}),
        "an error of status 200": reply(json=body),
        "no JSON": plain,
        "JSON of another shape": reply(json=[text]),
        "in lower case": reply(text.lower(), status=500),
        "a coding": reply("x", headers={"content-encoding": text}),
        "a broken coding": reply(b"\x1f\x8b" + text.encode(), headers={"content-encoding": "gzip"}),
        "an event": reply([b"event: error\ndata: ", json, b"\n\n"]),
        "an event that is cut": reply([b"data: ", json[:-9]], ending="cut"),
        "an event that is no JSON": reply([b"data: {", text.encode(), b"\n\n"]),
        "a line": reply([json, b"\n"], headers={"content-type": "application/x-ndjson"}),
        "a frame": reply([exception("throttlingException", {"message": text})], headers=CONTENT_TYPE),
        "cut at the limit": reply("." * 4085 + text, status=500),
        "nested": reply('{"error":' * 300 + f'"{text}"' + "}" * 300, status=400),
        "a page": reply(f"<html>{text}</html>", headers={"content-type": "text/html"}),
        "a redirect": reply("", status=302, headers={"location": f"https://x.test/?key={text}"}),
        "a reply that is cut": reply([json[:-9], b" "], ending="cut", headers={"content-type": "application/json"}),
        "a refusal that is cut": reply([json[:-9], b" "], ending="reset", status=400),
    }


def failing(provider: Provider, streamed: bool) -> BaseException:
    with pytest.raises(Exception) as caught:
        asyncio.run(provider.stream("hi").response() if streamed else provider.chat("hi"))  # type: ignore[arg-type]
    return caught.value


def below(error: BaseException) -> Any:
    """The traceback without the frames of this file, whose locals are the test's own."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def shown(error: BaseException | None) -> str:
    """All that anybody could see of an error and of what is behind it."""
    if error is None:
        return ""
    summary = traceback.TracebackException(type(error), error, below(error), capture_locals=True)
    data = pickle.dumps(error).decode("latin-1") if isinstance(error, TakoError) else ""
    fields = f"{error!s} {error!r} {vars(error)} {getattr(error, 'strerror', '')} {data}"
    return "".join(summary.format()) + fields + shown(error.__cause__) + shown(error.__context__)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("way", echo(""))
@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_a_vendor_repeats_shows_nowhere(
    name: str, way: str, streamed: bool, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", CANARY)
    with serve(echo(CANARY)[way]) as server:
        error = failing(at(name, server.url, max_retries=0, **KEYS[name]), streamed)
    assert isinstance(error, TakoError)
    assert MARKER not in shown(error).upper()


@pytest.mark.parametrize("way", echo(""))
def test_keys_of_aws_that_are_repeated_show_nowhere(way: str, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    for name in names:
        monkeypatch.setenv(name, CANARY + name)
    with serve(*(echo(CANARY + name)[way] for name in names)) as server:
        monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
        provider = at("bedrock", server.url, max_retries=0)
        for _ in names:
            assert MARKER not in shown(failing(provider, streamed=False))


@pytest.mark.parametrize("way", echo(""))
def test_a_key_in_a_header_of_the_user_s_shows_nowhere(way: str) -> None:
    with serve(echo(CANARY)[way]) as server:
        for provider in (
            OpenAI("m", api_key="k", base_url=server.url, max_retries=0, headers={"x-auth": f"Bearer {CANARY}"}),
            HttpGeneric("acme", "m", server.url, {}, headers={"authorization": f"Token {CANARY}"}, max_retries=0),
        ):
            error = failing(provider, streamed=False)
            assert MARKER not in shown(error)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_a_vendor_repeated_before_the_caller_gave_up_shows_nowhere(
    name: str, streamed: bool, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", CANARY)
    sent = threading.Event()

    def leave() -> bool:
        sent.set()
        return False

    async def main(provider: Provider) -> None:
        call = provider.stream("hi").response() if streamed else provider.chat("hi")
        task = asyncio.ensure_future(call)
        assert await asyncio.to_thread(sent.wait, 30)
        await asyncio.sleep(0.02)  # what has been sent arrives
        task.cancel()
        await task

    begun = f'{{"text": "{CANARY}'.encode() if name != "bedrock" else event("messageStart", {"text": CANARY})[:-4]
    with serve(reply([begun, leave])) as server, pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(main(at(name, server.url, max_retries=0, **KEYS[name])))
    assert MARKER not in shown(caught.value)


class OddError(Exception):
    """What a client of one's own may raise, with all that it knows."""

    def __init__(self, request: httpx.Request) -> None:
        super().__init__(f"failed with {request.headers['authorization']}", request, dict(request.headers))
        self.request = request
        self.text = str(dict(request.headers))
        self.headers = dict(request.headers)
        self.add_note(f"sent {CANARY}")


def raising(kind: str) -> Callable[[httpx.Request], httpx.Response]:
    """A transport that fails in a telling way."""

    def answer(request: httpx.Request) -> httpx.Response:
        message = f"no connection for {request.headers['authorization']}"
        if kind == "os":
            raise OSError(5, message, message)
        if kind == "httpx":
            raise httpx.ConnectError(message, request=request)
        if kind == "group":
            raise ExceptionGroup(message, [ValueError(message), OddError(request)])
        if kind == "tako":
            raise ProviderError(message, request_id=CANARY, body=message)
        raise OddError(request) from RuntimeError(message)

    return answer


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("client", [False, True])
@pytest.mark.parametrize("kind", ["os", "httpx", "group", "tako", "odd"])
def test_a_key_in_what_a_transport_raises_shows_nowhere(kind: str, client: bool, streamed: bool) -> None:
    transport = httpx.MockTransport(raising(kind))
    options = {"http_client": httpx.AsyncClient(transport=transport)} if client else {"transport": transport}
    provider = OpenAI("m", api_key=CANARY, base_url="https://example.test/v1", max_retries=0, **options)
    error = failing(provider, streamed)
    assert isinstance(error, TakoError)
    assert MARKER not in shown(error)


def test_a_secret_is_taken_out_of_a_text_however_it_is_written() -> None:
    secret = Secret(CANARY)
    for text in (CANARY, f"Bearer {CANARY}", CANARY.replace("/", "\\/"), "sk-CANARY%2FKEY%2B0123456789abcdef%3D"):
        assert secret.hide(f"before {text} after") in ("before *** after", "before Bearer *** after")
    assert secret.hide(f"cut in the middle: {CANARY[:15]}") == "cut in the middle: ***"
    assert secret.hide(f"{CANARY}{CANARY}") == "******"
    assert Secret("Basic dXNlcjpwYXNz; session=abcdefgh").hide("dXNlcjpwYXNz abcdefgh basic") == "*** *** basic"
    assert Secret("abc").hide("abc") == "abc"


def test_an_error_that_refers_to_itself_is_scrubbed() -> None:
    first, second = ValueError(CANARY), KeyError(CANARY)
    first.__cause__, second.__context__ = second, first
    scrub(first, Secret(CANARY).hide)
    assert first.args == second.args == ("***",)
