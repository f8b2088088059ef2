"""Google credentials against a token endpoint and a metadata server on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import Credentials
from google.auth.impersonated_credentials import Credentials as Impersonated
from google.oauth2.credentials import Credentials as UserCredentials
from tako_vertex import Vertex
from tako_vertex.sources import Source
from tako_vertex.tokens import EARLY, Tokens

from tako import ChatResponse, errors
from tako.testing.server import Received, Reply, Server, reply, serve

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = reply(json={"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]})
REFUSAL = reply(json={"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}, status=401)
TOKEN = "/token"
HOUR = 3600
HANG = 120.0
"""Seconds after which a test that waits for something fails."""


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_LOCATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


class Google:
    """Answers as the token endpoint (each time with a new token) and as the model, which refuses some.

    The token that comes n-th is good for n hours. After ``good`` tokens there are no more. While ``gate`` is shut, a
    token is asked for but does not come.
    """

    def __init__(self, *, refuse: tuple[str, ...] = (), good: int = 1000) -> None:
        self.refuse = refuse
        self.good = good
        self.count = 0
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, request: Received) -> Reply:
        if request.path != TOKEN:
            token = request.headers["authorization"].removeprefix("Bearer ")
            return REFUSAL if token in self.refuse else ANSWER
        self.count += 1
        self.asked.set()
        if self.count > self.good:
            return reply(json={"error": "invalid_grant", "error_description": "Account deleted"}, status=400)
        hours = {"access_token": f"ya29.token-{self.count}", "expires_in": HOUR * self.count, "token_type": "Bearer"}
        return reply(json=hours, delay=self.gate.is_set)


class Clock:
    """Unix time, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._began = time.time()

    def __call__(self) -> float:
        """Stand still unless a test says otherwise."""
        return self._began + self.ahead


def fetched(server: Server) -> int:
    return len([request for request in server.requests if request.path == TOKEN])


def account(server: Server, private_key: str, path: Path, **fields: Any) -> Path:
    info = {
        "type": "service_account",
        "project_id": "file-project",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "me@file-project.iam.gserviceaccount.com",
        "token_uri": server.url + TOKEN,
        **fields,
    }
    path.write_text(json.dumps(info))
    return path


def user(server: Server, **fields: Any) -> UserCredentials:
    make: Any = UserCredentials  # google-auth's functions have no types
    made: UserCredentials = make(
        None, refresh_token="r", token_uri=server.url + TOKEN, client_id="c", client_secret="s", **fields
    )
    return made


async def many(provider: Vertex, count: int) -> list[ChatResponse | BaseException]:
    return await asyncio.gather(*[provider.chat("Hello") for _ in range(count)], return_exceptions=True)


def timed(server: Server, clock: Clock) -> Vertex:
    """Make a provider whose tokens go by that clock."""
    provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
    provider.tokens = Tokens(Source(provider.id, user(server)), clock)
    return provider


async def until(event: threading.Event) -> None:
    """Let the loop run until it has happened."""
    assert await asyncio.to_thread(event.wait, HANG)


async def landed() -> None:
    """Let the loop run until no token is being fetched."""
    while threads := [thread for thread in threading.enumerate() if thread.name == "tako-vertex-token"]:
        await asyncio.to_thread(threads[0].join, HANG)


def test_a_hundred_cold_calls_fetch_one_token_and_do_not_block_the_loop(private_key: str, tmp_path: Path) -> None:
    async def main() -> None:
        google = Google()
        google.gate.clear()
        with serve(google) as server:
            file = account(server, private_key, tmp_path / "a.json")
            async with Vertex("m", service_account_file=file, endpoint_url=server.url) as provider:
                calls = asyncio.create_task(many(provider, 100))
                await until(google.asked)
                google.gate.set()  # which only a loop that runs on can do
                answers = await calls
            assert [getattr(answer, "text", answer) for answer in answers] == ["ok"] * 100
            assert google.count == 1
            sent = [request for request in server.requests if request.path != TOKEN]
            assert {request.headers["authorization"] for request in sent} == {"Bearer ya29.token-1"}
            assert sent[0].path.startswith("/v1/projects/file-project/")

    asyncio.run(main())


def test_one_provider_in_several_loops_fetches_one_token() -> None:
    with serve(Google()) as server:
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        for _ in range(3):
            assert provider.blocking.chat("Hello").text == "ok"
            assert asyncio.run(provider.chat("Hello")).text == "ok"
        assert fetched(server) == 1


def test_default_credentials_are_found_by_their_variable(
    private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(Google()) as server:
        file = account(server, private_key, tmp_path / "a.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        assert Vertex("m", endpoint_url=server.url).blocking.chat("Hello").text == "ok"
        assert server.requests[-1].path.startswith("/v1/projects/file-project/locations/us-central1/")


def test_the_project_that_is_billed_for_user_credentials_goes_along() -> None:
    with serve(Google()) as server:
        credentials = user(server, quota_project_id="billed")
        Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url).blocking.chat("Hello")
        assert server.requests[-1].headers["x-goog-user-project"] == "billed"


def test_impersonation_is_a_matter_of_the_credentials() -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def answer(request: Received) -> Reply:
        if "generateAccessToken" in request.path:
            return reply(json={"accessToken": "ya29.impersonated", "expireTime": until})
        made: Reply = Google()(request)
        return made

    with serve(answer) as server:
        make: Any = Impersonated  # as above
        credentials = make(
            source_credentials=user(server),
            target_principal="robot@p.iam.gserviceaccount.com",
            target_scopes=["https://www.googleapis.com/auth/cloud-platform"],
            iam_endpoint_override=f"{server.url}/v1/robot:generateAccessToken",
        )
        Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url).blocking.chat("Hello")
        assert server.requests[-1].headers["authorization"] == "Bearer ya29.impersonated"


def test_a_token_near_its_end_is_replaced_while_calls_go_on() -> None:
    async def main() -> None:
        google, clock = Google(), Clock()
        with serve(google) as server:
            async with timed(server, clock) as provider:
                assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 20))
                assert google.count == 1
                clock.ahead = HOUR - EARLY + 1
                google.gate.clear()
                assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 100))
                google.gate.set()
                await landed()
                await provider.chat("Hello")
                assert server.requests[-1].headers["authorization"] == "Bearer ya29.token-2"
                assert google.count == 2

    asyncio.run(main())


def test_a_refresh_that_fails_does_not_fail_calls_that_hold_a_valid_token() -> None:
    async def main() -> None:
        google, clock = Google(good=1), Clock()
        with serve(google) as server:
            async with timed(server, clock) as provider:
                await provider.chat("Hello")
                clock.ahead = HOUR - EARLY + 1
                for _ in range(3):
                    assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 25))
                await landed()
                assert google.count == 2
                clock.ahead = HOUR + HANG
                failed = await many(provider, 100)
                assert {type(failure) for failure in failed} == {errors.AuthenticationError}
                assert "credentials=" in str(failed[0])
                assert "invalid_grant" in str(failed[0])
                assert google.count == 3

    asyncio.run(main())


def test_a_token_that_is_refused_is_replaced_once_for_all_and_the_calls_are_repeated_once() -> None:
    async def main() -> None:
        with serve(Google(refuse=("ya29.token-1",))) as server:
            async with Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url) as provider:
                assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 100))
                assert fetched(server) == 2
                async with provider.stream("Hello") as stream:
                    assert (await stream.response()).text == "ok"

    asyncio.run(main())


def test_credentials_that_are_refused_for_good_are_tried_twice() -> None:
    with serve(Google(refuse=("ya29.token-1", "ya29.token-2"))) as server:
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        with pytest.raises(errors.AuthenticationError, match="UNAUTHENTICATED"):
            provider.blocking.chat("Hello")
        assert len(server.requests) == 4


def test_a_caller_who_leaves_does_not_take_the_token_along() -> None:
    async def main() -> None:
        google = Google()
        google.gate.clear()
        with serve(google) as server:
            async with Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url) as provider:
                leaving = asyncio.create_task(provider.chat("Hello"))
                await until(google.asked)
                leaving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await leaving
                staying = asyncio.create_task(many(provider, 10))
                google.gate.set()
                assert all(isinstance(answer, ChatResponse) for answer in await staying)
                assert google.count == 1

    asyncio.run(main())


def one_line(provider: Vertex, kind: type[errors.TakoError], *said: str) -> None:
    with pytest.raises(kind) as caught:
        provider.blocking.chat("Hello")
    text = str(caught.value)
    assert "\n" not in text
    for words in said:
        assert words in text


def test_what_is_wrong_with_credentials_is_said_with_their_source(
    private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(Google()) as server:
        url = server.url
        file = account(server, private_key, tmp_path / "a.json", token_uri="http://127.0.0.1:9/token")
    missing, broken = tmp_path / "missing.json", tmp_path / "broken.json"
    broken.write_text("{}")

    def provider(path: Path) -> Vertex:
        return Vertex("m", service_account_file=path, endpoint_url=url, max_retries=0)

    one_line(provider(missing), errors.ConfigurationError, "missing.json", "gcloud auth application-default login")
    one_line(provider(broken), errors.ConfigurationError, "broken.json", "credentials=")
    one_line(provider(file), errors.TransportError, "a.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(missing))
    default = Vertex("m", endpoint_url=url, max_retries=0)
    one_line(default, errors.ConfigurationError, "GOOGLE_APPLICATION_CREDENTIALS=", "missing.json")


def test_credentials_that_know_no_project_need_one() -> None:
    with serve(Google()) as server:
        provider = Vertex("m", credentials=user(server), endpoint_url=server.url)
        one_line(provider, errors.ConfigurationError, "GOOGLE_CLOUD_PROJECT", "project_id=")


def test_tokens_are_shown_nowhere(private_key: str, tmp_path: Path) -> None:
    said = reply(
        json={"error": {"code": 400, "message": "ya29.token-1 is odd", "status": "INVALID_ARGUMENT"}}, status=400
    )
    answer = Google()
    with serve(lambda request: answer(request) if request.path == TOKEN else said) as server:
        file = account(server, private_key, tmp_path / "a.json")
        provider = Vertex("m", service_account_file=file, endpoint_url=server.url)
        with pytest.raises(errors.BadRequestError) as caught:
            provider.blocking.chat("Hello")
    assert "token-1" not in f"{caught.value!r}{caught.value}{caught.value.body}{vars(provider)}"
    packed = pickle.dumps(provider)
    assert b"token-1" not in packed
    assert b"PRIVATE" not in packed


def test_a_pickled_provider_finds_its_credentials_again_but_not_those_it_was_given(
    private_key: str, tmp_path: Path
) -> None:
    with serve(Google()) as server:
        file = account(server, private_key, tmp_path / "a.json")
        again = pickle.loads(pickle.dumps(Vertex("m", service_account_file=file, endpoint_url=server.url)))
        assert again.blocking.chat("Hello").text == "ok"
        given = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        one_line(pickle.loads(pickle.dumps(given)), errors.ConfigurationError, "never travel in a pickle")


class Odd(Credentials):
    """Credentials of somebody's own."""

    def refresh(self, request: Any) -> None:
        raise KeyError("vault")


def test_credentials_of_any_class_may_fail_in_any_way() -> None:
    with serve(Google()) as server:
        odd: Any = Odd  # as above
        provider = Vertex("m", project_id="p", credentials=odd(), endpoint_url=server.url)
        one_line(provider, errors.ConfigurationError, "vault", "credentials=")


METADATA = """
import asyncio, json, sys, threading

import tako_vertex

assert not [name for name in sys.modules if name.startswith("google.auth")], "google-auth is imported too early"
importing = set()

def watch(event, args):
    if event == "import" and args[0].startswith(("google.auth", "requests")):
        importing.add(threading.current_thread().name)

sys.addaudithook(watch)

async def main():
    async with tako_vertex.Vertex("m", endpoint_url=sys.argv[1]) as provider:
        answers = await asyncio.gather(*[provider.chat("Hello") for _ in range(100)])
    print(json.dumps({"ok": sum(answer.text == "ok" for answer in answers), "importing": sorted(importing)}))

asyncio.run(main())
"""


def test_a_hundred_cold_calls_ask_the_metadata_server_once(tmp_path: Path) -> None:
    def answer(request: Received) -> Reply:
        flavour = {"metadata-flavor": "Google", "content-type": "application/json"}
        if request.path.endswith("/token"):
            token = {"access_token": "ya29.vm", "expires_in": 3600, "token_type": "Bearer"}
            return reply(json=token, headers=flavour)
        if request.path.endswith("/project-id"):
            return reply("vm-project", headers={**flavour, "content-type": "text/plain"})
        if "/service-accounts/" in request.path:
            return reply(json={"email": "vm@p.example", "scopes": []}, headers=flavour)
        return ANSWER if request.method == "POST" else reply("", headers=flavour)

    with serve(answer) as server:
        host = server.url.removeprefix("http://")
        environment = {**os.environ, "HOME": str(tmp_path), "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        environment["GCE_METADATA_TIMEOUT"] = str(int(HANG))
        command = [sys.executable, "-c", METADATA, server.url]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        said = json.loads(run.stdout)
        calls = [request for request in server.requests if request.method == "POST"]
        assert said["ok"] == len(calls) == 100
        assert {request.headers["authorization"] for request in calls} == {"Bearer ya29.vm"}
        assert calls[0].path.startswith("/v1/projects/vm-project/")
        assert len([request for request in server.requests if request.path.endswith("/token")]) == 1
        assert said["importing"] == ["tako-vertex-token"]


NOTHING = """
import tako_vertex

try:
    tako_vertex.Vertex("m", max_retries=0).blocking.chat("x")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_any_credentials_the_error_says_where_they_were_looked_for(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "NO_GCE_CHECK": "true", "PATH": ""}
    run = subprocess.run([sys.executable, "-c", NOTHING], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.startswith(
        "ConfigurationError vertex:m found no Google credentials in GOOGLE_APPLICATION_CREDENTIALS"
    )
    assert run.stdout.count("\n") == 1
    assert "gcloud auth application-default login" in run.stdout
