"""Where Google credentials come from, what went wrong with them, and what to set. Everything here may block."""

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
VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
WAYS = (
    f"set {VARIABLE}, run `gcloud auth application-default login`, or pass credentials=, service_account_file=, "
    "access_token= or api_key="
)
LOST = "lost"
"""Stands for credentials that were left behind when their provider was pickled."""


SENT = ("token", "refresh_token", "client_secret")
"""Secrets of google.auth's credentials that go to where tokens come from."""


class Source:
    """The one place that a provider takes its credentials from.

    ``given``: an object of google.auth; ``file``: a service account's JSON file; neither: Google's application default
    credentials (https://cloud.google.com/docs/authentication/application-default-credentials).
    """

    def __init__(self, owner: str, given: Any = None, file: str | None = None) -> None:
        self._owner = owner
        self._given = given
        self._file = file
        self._credentials: Any = None
        self.project: str | None = None

    @property
    def label(self) -> str:
        """What the source is called in errors."""
        if self._given is not None:
            return "credentials="
        if self._file is not None:
            return f"service_account_file={self._file!r}"
        path = os.environ.get(VARIABLE)
        return f"{VARIABLE}={path!r}" if path else "the application default credentials"

    def refreshed(self, old: Mapping[str, str] | None) -> Any:
        """Return credentials with a valid token, another than ``old`` has; raises a TakoError that says what to do.

        Where the credentials are refused and their file holds others by now, those are used.
        """
        credentials = self._found()
        if credentials.valid and not _carries(credentials, old):
            return credentials
        try:
            _refresh(credentials)
        except Exception as error:
            if old is None and credentials.token is not None and end_of(credentials.expiry) > time():
                return credentials
            scrub(error, self._hide)
            renewed = self._renewed(credentials)
            if renewed is None:
                raise self._explained(error) from error
            return renewed
        return credentials

    def _renewed(self, refused: Any) -> Any:
        """Find the credentials again; returns them with a token, or None if they are the same, or refused as well."""
        if self._given is not None:
            return None
        try:
            found = self._find()
            if _identity(found) == _identity(refused):
                return None
            self._credentials = found
            _refresh(found)
        except Exception:  # noqa: BLE001 - the first refusal is what is told
            return None
        return found

    def _found(self) -> Any:
        if self._credentials is None:
            try:
                self._credentials = self._find()
            except TakoError:
                raise
            except Exception as error:
                scrub(error, self._hide)
                raise self._explained(error) from error
        return self._credentials

    def _find(self) -> Any:
        google: Any = importlib.import_module("google.auth")  # its functions have no types

        if isinstance(self._given, str):
            raise ConfigurationError(f"{self._owner}: credentials= never travel in a pickle; make the provider again")
        found: Any = self._given
        if self._given is not None:
            found = importlib.import_module("google.auth.credentials").with_scopes_if_required(self._given, SCOPES)
        elif self._file is not None:
            account: Any = importlib.import_module("google.oauth2.service_account")
            found = account.Credentials.from_service_account_file(self._file, scopes=SCOPES)
        else:
            found, self.project = google.default(scopes=SCOPES)
        self.project = self.project or getattr(found, "project_id", None)
        return found

    def _hide(self, text: str) -> str:
        """Take out of a text what the credentials send to get a token."""
        for name in SENT:
            value = getattr(self._credentials, name, None)
            text = Secret(value).hide(text) if isinstance(value, str) else text
        return text

    def _explained(self, error: Exception) -> TakoError:
        """Say in one line which source failed, why, and what to set."""
        from google.auth import exceptions

        text = " ".join(_said(error).split())[:300].rstrip(".") or type(error).__name__
        if isinstance(error, exceptions.DefaultCredentialsError) and self._file is None and VARIABLE not in os.environ:
            return ConfigurationError(
                f"{self._owner} found no Google credentials in {VARIABLE} (which isn't set), gcloud's application "
                f"default login or the metadata server: {text}; {WAYS}"
            )
        if isinstance(error, exceptions.TransportError) or getattr(error, "retryable", False):
            return TransportError(f"no token from {self.label}: {text}")
        if isinstance(error.__cause__, exceptions.TransportError):
            return TransportError(f"no token from {self.label}: {text}")
        if isinstance(error, exceptions.RefreshError):
            return AuthenticationError(f"Google refused {self.label}: {text}; renew it, or {WAYS}")
        return ConfigurationError(f"{self._owner}: {self.label} can't be used: {text}; correct it, or {WAYS}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._owner, LOST if self._given is not None else None, self._file)


def _refresh(credentials: Any) -> None:
    from google.auth.transport.requests import Request
    from requests import Session

    with Session() as session:
        credentials.refresh(Request(session=session))


def _identity(credentials: Any) -> tuple[Any, ...]:
    """Return what tells credentials from those that take their place: the key of an account, a user's login."""
    signer = getattr(credentials, "signer", None)
    names = ("refresh_token", "client_id", "client_secret", "service_account_email")
    return type(credentials), getattr(signer, "key_id", None), *(getattr(credentials, name, None) for name in names)


def end_of(expiry: datetime | None) -> float:
    """Read google-auth's times, which are UTC without saying so, as Unix time."""
    if expiry is None:
        return math.inf
    return (expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)).timestamp()


def check_credentials(credentials: Any, owner: str) -> None:
    """Raise ConfigurationError on what is no credentials object of google.auth."""
    if not all(hasattr(credentials, name) for name in ("refresh", "apply", "token", "expiry", "valid")):
        kind = type(credentials).__name__
        hint = "; google.auth.default() returns a pair, pass its first" if kind == "tuple" else ""
        raise ConfigurationError(f"{owner}: credentials= is an object of google.auth.credentials, not {kind}{hint}")


def _said(error: BaseException) -> str:
    """google-auth puts the text first, and the vendor's whole answer after it."""
    return str(cast("object", error.args[0])) if error.args else ""


def _carries(credentials: Any, old: Mapping[str, str] | None) -> bool:
    """Tell whether the credentials still have the token of those headers."""
    headers: dict[str, str] = {}
    credentials.apply(headers)
    return old is not None and headers == old
