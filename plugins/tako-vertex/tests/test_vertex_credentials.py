"""Google credentials against a token endpoint and a metadata server on loopback."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.auth.credentials import Credentials
from google.auth.impersonated_credentials import Credentials as Impersonated
from tako_vertex import Vertex

from tako import errors
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = reply(json={"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]})
TOKEN = "/token"
HANG = 120
"""Seconds after which a test that waits for something fails."""


def test_default_credentials_come_from_the_file_in_the_variable(
    google: Any, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(google) as server:
        file = account(server)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        assert Vertex("m", endpoint_url=server.url).blocking.chat("Hello").text == "ok"
        assert server.requests[-1].path.startswith("/v1/projects/file-project/locations/global/")


def test_the_quota_project_of_user_credentials_is_sent(google: Any, user: Any) -> None:
    with serve(google) as server:
        credentials = user(server, quota_project_id="billed")
        Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url).blocking.chat("Hello")
        assert server.requests[-1].headers["x-goog-user-project"] == "billed"


def test_impersonated_credentials_work(google: Any, user: Any) -> None:
    expiry = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def answer(request: Received) -> Reply:
        if "generateAccessToken" in request.path:
            return reply(json={"accessToken": "ya29.impersonated", "expireTime": expiry})
        answer_of_google: Reply = google(request)
        return answer_of_google

    with serve(answer) as server:
        constructor: Any = Impersonated  # as above
        credentials = constructor(
            source_credentials=user(server),
            target_principal="robot@p.iam.gserviceaccount.com",
            target_scopes=["https://www.googleapis.com/auth/cloud-platform"],
            iam_endpoint_override=f"{server.url}/v1/robot:generateAccessToken",
        )
        Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url).blocking.chat("Hello")
        assert server.requests[-1].headers["authorization"] == "Bearer ya29.impersonated"


def missing_from_error(provider: Vertex, error_class: type[errors.TakoError], *texts: str) -> list[str]:
    """Let a call fail with one line. Returns which of these texts the line doesn't have."""
    with pytest.raises(error_class) as caught:
        provider.blocking.chat("Hello")
    message = str(caught.value)
    assert "\n" not in message
    return [expected for expected in texts if expected not in message]


def test_an_error_about_credentials_names_their_source(
    google: Any, account: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(google) as server:
        url = server.url
        file = account(server, token_uri="http://127.0.0.1:9/token")
    missing, broken = tmp_path / "missing.json", tmp_path / "broken.json"
    broken.write_text("{}")

    def provider(path: Path) -> Vertex:
        return Vertex("m", service_account_file=path, endpoint_url=url, max_retries=0)

    assert not missing_from_error(
        provider(missing), errors.ConfigurationError, "missing.json", "gcloud auth application-default login"
    )
    assert not missing_from_error(provider(broken), errors.ConfigurationError, "broken.json", "credentials=")
    assert not missing_from_error(provider(file), errors.TransportError, "a.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(missing))
    default = Vertex("m", endpoint_url=url, max_retries=0)
    assert not missing_from_error(default, errors.ConfigurationError, "GOOGLE_APPLICATION_CREDENTIALS=", "missing.json")


def test_secrets_that_a_token_server_repeats_are_removed_from_the_error(user: Any) -> None:
    def echo(request: Received) -> Reply:
        return reply(json={"error": "invalid_grant", "error_description": request.body.decode()}, status=400)

    with serve(echo) as server:
        credentials = user(server)
        credentials._refresh_token, credentials._client_secret = "1//CANARY-refresh", "CANARY-secret"
        provider = Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url, max_retries=0)
        with pytest.raises(errors.AuthenticationError, match="Google refused credentials=") as caught:
            provider.blocking.chat("Hello")
    text, cause = f"{caught.value!r}", caught.value.__cause__
    while cause is not None:
        text, cause = f"{text}{cause!r}{vars(cause)}", cause.__cause__ or cause.__context__
    assert "CANARY" not in text


def test_credentials_without_a_project_need_one(google: Any, user: Any) -> None:
    with serve(google) as server:
        provider = Vertex("m", credentials=user(server), endpoint_url=server.url)
        assert not missing_from_error(provider, errors.ConfigurationError, "GOOGLE_CLOUD_PROJECT", "project_id=")


def test_no_error_repr_or_pickle_has_a_token(google: Any, account: Any) -> None:
    error = reply(
        json={"error": {"code": 400, "message": "ya29.token-1 is odd", "status": "INVALID_ARGUMENT"}}, status=400
    )
    with serve(lambda request: google(request) if request.path == TOKEN else error) as server:
        file = account(server)
        provider = Vertex("m", service_account_file=file, endpoint_url=server.url)
        with pytest.raises(errors.BadRequestError) as caught:
            provider.blocking.chat("Hello")
    assert "token-1" not in f"{caught.value!r}{caught.value}{caught.value.body}{vars(provider)}"
    pickled = pickle.dumps(provider)
    assert b"token-1" not in pickled
    assert b"PRIVATE" not in pickled


def test_a_pickled_provider_finds_its_credentials_again_unless_they_were_an_option(
    google: Any, account: Any, user: Any
) -> None:
    with serve(google) as server:
        file = account(server)
        unpickled = pickle.loads(pickle.dumps(Vertex("m", service_account_file=file, endpoint_url=server.url)))
        assert unpickled.blocking.chat("Hello").text == "ok"
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        assert not missing_from_error(
            pickle.loads(pickle.dumps(provider)), errors.ConfigurationError, "never travel in a pickle"
        )


class FailingCredentials(Credentials):
    """Credentials of a user's own class."""

    def refresh(self, request: Any) -> None:
        raise KeyError("vault")


def test_any_exception_of_custom_credentials_is_a_configuration_error(google: Any) -> None:
    with serve(google) as server:
        constructor: Any = FailingCredentials  # as above
        provider = Vertex("m", project_id="p", credentials=constructor(), endpoint_url=server.url)
        assert not missing_from_error(provider, errors.ConfigurationError, "vault", "credentials=")


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


def test_a_hundred_first_calls_use_the_metadata_server_once(tmp_path: Path) -> None:
    def answer(request: Received) -> Reply:
        headers = {"metadata-flavor": "Google", "content-type": "application/json"}
        if request.path.endswith("/token"):
            token = {"access_token": "ya29.vm", "expires_in": 3600, "token_type": "Bearer"}
            return reply(json=token, headers=headers)
        if request.path.endswith("/project-id"):
            return reply("vm-project", headers={**headers, "content-type": "text/plain"})
        if "/service-accounts/" in request.path:
            return reply(json={"email": "vm@p.example", "scopes": []}, headers=headers)
        return ANSWER if request.method == "POST" else reply("", headers=headers)

    with serve(answer) as server:
        host = server.url.removeprefix("http://")
        environment = {**os.environ, "HOME": str(tmp_path), "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        environment["GCE_METADATA_TIMEOUT"] = str(HANG)
        command = [sys.executable, "-c", METADATA, server.url]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        output = json.loads(run.stdout)
        calls = [request for request in server.requests if request.method == "POST"]
        assert output["ok"] == len(calls) == 100
        assert {request.headers["authorization"] for request in calls} == {"Bearer ya29.vm"}
        assert calls[0].path.startswith("/v1/projects/vm-project/")
        assert len([request for request in server.requests if request.path.endswith("/token")]) == 1
        assert output["importing"] == ["tako-vertex-token"]


WITHOUT_CREDENTIALS = """
import tako_vertex

try:
    tako_vertex.Vertex("m", max_retries=0).blocking.chat("x")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_credentials_the_error_says_where_tako_looked(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "NO_GCE_CHECK": "true", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_CREDENTIALS], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith(
        "ConfigurationError vertex:m found no Google credentials in GOOGLE_APPLICATION_CREDENTIALS"
    )
    assert run.stdout.count("\n") == 1
    assert "gcloud auth application-default login" in run.stdout
