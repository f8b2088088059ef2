"""Google on loopback: its token endpoint and a model, and credentials for them."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2.credentials import Credentials as UserCredentials

from tako.testing.server import Received, Reply, Server, reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER = reply(json={"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]})
REFUSAL = reply(json={"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}, status=401)
TOKEN = "/token"
HOUR = 3600


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_LOCATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*encoding).decode()


class Google:
    """Answers as the token endpoint, each time with a new token, and as the model, which refuses some tokens.

    The n-th token is valid for n hours. After ``valid_tokens`` tokens there are no more. While ``gate`` is closed,
    requests for a token get no reply.
    """

    def __init__(self) -> None:
        self.refused_tokens: tuple[str, ...] = ()
        self.valid_tokens = 1000
        self.tokens_issued = 0
        self.token_requested = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, request: Received) -> Reply:
        if request.path != TOKEN:
            token = request.headers["authorization"].removeprefix("Bearer ")
            return REFUSAL if token in self.refused_tokens else ANSWER
        self.tokens_issued += 1
        self.token_requested.set()
        if self.tokens_issued > self.valid_tokens:
            return reply(json={"error": "invalid_grant", "error_description": "Account deleted"}, status=400)
        grant = {
            "access_token": f"ya29.token-{self.tokens_issued}",
            "expires_in": HOUR * self.tokens_issued,
            "token_type": "Bearer",
        }
        return reply(json=grant, delay=self.gate.is_set)


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
def account(private_key: str, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the file of a service account."""

    def write(server: Server, **fields: Any) -> Path:
        path = tmp_path / "a.json"
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

    return write


@pytest.fixture
def user() -> Callable[..., UserCredentials]:
    """Return a function that makes the credentials of a user."""

    def create(server: Server, **fields: Any) -> UserCredentials:
        constructor: Any = UserCredentials  # google-auth's functions have no types
        credentials: UserCredentials = constructor(
            None, refresh_token="r", token_uri=server.url + TOKEN, client_id="c", client_secret="s", **fields
        )
        return credentials

    return create
