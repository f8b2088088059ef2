"""Google credentials: where they come from, and errors that say what to set. Everything here may block."""

from __future__ import annotations

import importlib
import math
import os
from datetime import UTC
from time import time
from typing import TYPE_CHECKING, Any, cast

from tako.errors import AuthenticationError, ConfigurationError, TakoError, TransportError
from tako.kit.keys import Secret, scrub

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
REMEDY = (
    f"set {KEY_FILE}, run `gcloud auth application-default login`, or pass credentials=, service_account_file=, "
    "access_token= or api_key="
)
NOT_PICKLED = "lost"
"""Stands for credentials in the pickle of a provider, which doesn't have them."""

SECRET_FIELDS = ("token", "refresh_token", "client_secret")
"""Attributes of google.auth's credentials that are secrets."""


class CredentialSource:
    """The source of a provider's credentials.

    ``credentials``: an object of google.auth. ``file``: a service account's JSON file. Neither: Google's application
    default credentials (https://cloud.google.com/docs/authentication/application-default-credentials).
    """

    def __init__(self, owner: str, credentials: Any = None, file: str | None = None) -> None:
        self._owner = owner
        self._user_credentials = credentials
        self._file = file
        self._credentials: Any = None
        self.project: str | None = None

    @property
    def label(self) -> str:
        """The name of the source in errors."""
        if self._user_credentials is not None:
            return "credentials="
        if self._file is not None:
            return f"service_account_file={self._file!r}"
        path = os.environ.get(KEY_FILE)
        return f"{KEY_FILE}={path!r}" if path else "the application default credentials"

    def refresh(self, old_headers: Mapping[str, str] | None) -> Any:
        """Return credentials with a valid token, another one than in ``old_headers``.

        If Google refuses the credentials and their file has others by now, those are used. Raises a TakoError that says
        what to do.
        """
        credentials = self._load()
        if credentials.valid and not _has_token(credentials, old_headers):
            return credentials
        try:
            _refresh(credentials)
        except Exception as error:
            if old_headers is None and credentials.token is not None and expiry_time(credentials.expiry) > time():
                return credentials
            scrub(error, self._hide)
            reloaded = self._reload(credentials)
            if reloaded is None:
                raise self._explain(error) from error
            return reloaded
        return credentials

    def _reload(self, refused: Any) -> Any:
        """Find the credentials again. Returns them with a token, or None if they're the same, or refused as well."""
        if self._user_credentials is not None:
            return None
        try:
            credentials = self._find()
            if _identity(credentials) == _identity(refused):
                return None
            self._credentials = credentials
            _refresh(credentials)
        except Exception:  # noqa: BLE001 - the caller raises the first refusal
            return None
        return credentials

    def _load(self) -> Any:
        if self._credentials is None:
            try:
                self._credentials = self._find()
            except TakoError:
                raise
            except Exception as error:
                scrub(error, self._hide)
                raise self._explain(error) from error
        return self._credentials

    def _find(self) -> Any:
        google: Any = importlib.import_module("google.auth")  # its functions have no types

        if isinstance(self._user_credentials, str):
            raise ConfigurationError(f"{self._owner}: credentials= never travel in a pickle; make the provider again")
        credentials: Any = self._user_credentials
        if self._user_credentials is not None:
            credentials = importlib.import_module("google.auth.credentials").with_scopes_if_required(
                self._user_credentials, SCOPES
            )
        elif self._file is not None:
            account: Any = importlib.import_module("google.oauth2.service_account")
            credentials = account.Credentials.from_service_account_file(self._file, scopes=SCOPES)
        else:
            credentials, self.project = google.default(scopes=SCOPES)
        self.project = self.project or getattr(credentials, "project_id", None)
        return credentials

    def _hide(self, text: str) -> str:
        """Remove the credentials' secrets from a text."""
        for name in SECRET_FIELDS:
            value = getattr(self._credentials, name, None)
            text = Secret(value).hide(text) if isinstance(value, str) else text
        return text

    def _explain(self, error: Exception) -> TakoError:
        """Say in one line which source failed, why, and what to set."""
        from google.auth import exceptions

        text = " ".join(_message(error).split())[:300].rstrip(".") or type(error).__name__
        if isinstance(error, exceptions.DefaultCredentialsError) and self._file is None and KEY_FILE not in os.environ:
            return ConfigurationError(
                f"{self._owner} found no Google credentials in {KEY_FILE} (which isn't set), gcloud's application "
                f"default login or the metadata server: {text}; {REMEDY}"
            )
        if isinstance(error, exceptions.TransportError) or getattr(error, "retryable", False):
            return TransportError(f"no token from {self.label}: {text}")
        if isinstance(error.__cause__, exceptions.TransportError):
            return TransportError(f"no token from {self.label}: {text}")
        if isinstance(error, exceptions.RefreshError):
            return AuthenticationError(f"Google refused {self.label}: {text}; renew it, or {REMEDY}")
        return ConfigurationError(f"{self._owner}: {self.label} can't be used: {text}; correct it, or {REMEDY}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._owner, NOT_PICKLED if self._user_credentials is not None else None, self._file)


def _refresh(credentials: Any) -> None:
    from google.auth.transport.requests import Request
    from requests import Session

    with Session() as session:
        credentials.refresh(Request(session=session))


def _identity(credentials: Any) -> tuple[Any, ...]:
    """Return what differs between credentials: the key of an account, a user's login."""
    signer = getattr(credentials, "signer", None)
    names = ("refresh_token", "client_id", "client_secret", "service_account_email")
    return type(credentials), getattr(signer, "key_id", None), *(getattr(credentials, name, None) for name in names)


def expiry_time(expiry: datetime | None) -> float:
    """Convert google-auth's times, which are UTC without a zone, to Unix time."""
    if expiry is None:
        return math.inf
    return (expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)).timestamp()


def check_credentials(credentials: Any, owner: str) -> None:
    """Raise ConfigurationError for anything but a credentials object of google.auth."""
    if not all(hasattr(credentials, name) for name in ("refresh", "apply", "token", "expiry", "valid")):
        kind = type(credentials).__name__
        hint = "; google.auth.default() returns a tuple: pass its first item" if kind == "tuple" else ""
        raise ConfigurationError(f"{owner}: credentials= is an object of google.auth.credentials, not {kind}{hint}")


def _message(error: BaseException) -> str:
    """Return an error's text. google-auth puts the vendor's whole answer after it."""
    return str(cast("object", error.args[0])) if error.args else ""


def _has_token(credentials: Any, old_headers: Mapping[str, str] | None) -> bool:
    """Whether the credentials still have the token of these headers."""
    headers: dict[str, str] = {}
    credentials.apply(headers)
    return old_headers is not None and headers == old_headers
