"""Google on loopback: its token endpoint and a model, and credentials that ask there."""

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
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


class Google:
    """Answers as the token endpoint (each time with a new token) and as the model, which refuses some.

    The token that comes n-th is good for n hours. After ``good`` tokens there are no more. While ``gate`` is shut, a
    token is asked for but does not come.
    """

    def __init__(self) -> None:
        self.refuse: tuple[str, ...] = ()
        self.good = 1000
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


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
def account(private_key: str, tmp_path: Path) -> Callable[..., Path]:
    """Write the file of a service account."""

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
    """Make the credentials of a user."""

    def made(server: Server, **fields: Any) -> UserCredentials:
        make: Any = UserCredentials  # google-auth's functions have no types
        credentials: UserCredentials = make(
            None, refresh_token="r", token_uri=server.url + TOKEN, client_id="c", client_secret="s", **fields
        )
        return credentials

    return made
