"""What boto3 finds: the region, the endpoint and the credentials. It blocks, so it works in a thread of its own.

boto3 is imported here, on first use.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from tako.errors import TakoError
from tako.kit.keys import Secret
from tako.kit.lease import Lease, Stage
from tako.kit.single_flight import SingleFlight
from tako_bedrock.credential_errors import credentials_error, no_credentials, no_region, setup_error

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD = "tako-bedrock"
MIN_REFRESH_AGE = 60.0
"""Seconds before new credentials are refreshed. Some sources issue ones that botocore would refresh at once."""
MODEL_PATH = "/model/m/converse"


class Session(Protocol):
    """What tako uses of a ``boto3.Session``."""

    @property
    def region_name(self) -> str | None:
        """The region of the profile or the environment."""
        ...

    @property
    def client(self) -> Any:
        """The factory of clients."""
        ...

    def get_credentials(self) -> Any:
        """Return the credentials of the chain, or None."""
        ...


class Keys:
    """Credentials as they were at one moment. Nothing shows them: not repr, not a traceback with locals."""

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, frozen: Any) -> None:
        self.access_key: str = frozen.access_key
        self.secret_key: str = frozen.secret_key
        self.token: str | None = frozen.token

    def matches(self, other: Keys) -> bool:
        """Whether these are the same keys as the other's."""
        return (self.access_key, self.secret_key, self.token) == (other.access_key, other.secret_key, other.token)

    def hide(self, text: str) -> str:
        """Return a text without the secret ones."""
        for secret in filter(None, (self.secret_key, self.token)):
            text = Secret(secret).hide(text)
        return text


class Endpoint(Struct, frozen=True):
    """The base URL of requests, without a slash at the end, and the region that signatures name."""

    url: str
    region: str


class Credentials(Struct, frozen=True):
    """The credentials in use: boto3's object, its keys, and when they were read, by the account's clock."""

    source: Any
    keys: Keys
    read_at: float

    @property
    def method(self) -> str:
        """Where boto3 found them, by its own name ("env", "assume-role", "iam-role")."""
        return getattr(self.source, "method", None) or "the session"

    def expires_within(self, seconds: int | None = None) -> bool:
        """Whether they expire within these seconds (by default: when botocore would refresh them)."""
        needed = getattr(self.source, "refresh_needed", None)
        return needed is not None and bool(needed(seconds))


class Account:
    """The region, endpoint and credentials of one provider."""

    def __init__(
        self,
        owner: str,
        *,
        region: str | None,
        profile_name: str | None,
        endpoint_url: str | None,
        session: Session | None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._owner = owner
        self._region = region
        self._profile = profile_name
        self._endpoint = endpoint_url
        self._user_session = session
        self._clock = clock
        self._session: Session | None = session
        self._endpoints: dict[str | None, Endpoint] = {}  # by the region that a model names
        self._lookups: dict[str | None, SingleFlight[Endpoint]] = {}
        self._refused_credentials: Credentials | None = None
        self._lease = Lease(self._fetch, self._stage, name=THREAD, clock=clock)

    async def endpoint(self, region: str | None = None) -> Endpoint:
        """Return where requests go. Raises ConfigurationError if no region is set.

        ``region`` is the one that a model's ARN names. It wins over any other.
        """
        if (endpoint := self._endpoints.get(region)) is not None:
            return endpoint
        flight = self._lookups.setdefault(region, SingleFlight(partial(self._find_endpoint, region), THREAD))
        return await flight.result()

    async def credentials(self) -> Credentials:
        """Return valid credentials. Raises ConfigurationError, AuthenticationError or TransportError."""
        credentials = await self._lease.get()
        return (
            credentials if self._user_session is None or credentials.expires_within() else self._read_again(credentials)
        )

    async def renew(self, credentials: Credentials) -> bool:
        """Replace credentials that the vendor refused. Returns whether there are others now."""
        self._refused_credentials = credentials
        try:
            return await self._lease.replace(credentials) is not credentials
        except TakoError:
            return False

    def hide(self, text: str) -> str:
        """Remove the credentials from a text."""
        credentials = self._lease.held
        return credentials.keys.hide(text) if credentials is not None else text

    def _read_again(self, credentials: Credentials) -> Credentials:
        """Read the keys of the user's session again: other code may have refreshed them."""
        if hasattr(credentials.source, "refresh_needed"):
            self._lease.held = credentials = self._read(credentials.source, credentials)
        return credentials

    def _read(self, source: Any, old: Credentials | None) -> Credentials:
        """Return the credentials that a source has now. The old object if the keys are the same."""
        keys = Keys(source.get_frozen_credentials())
        return old if old is not None and keys.matches(old.keys) else Credentials(source, keys, self._clock())

    def _stage(self, credentials: Credentials) -> Stage:
        if not credentials.expires_within():
            return Stage.GOOD
        if credentials.expires_within(0):
            return Stage.ENDED
        return Stage.ENDING if self._clock() >= credentials.read_at + MIN_REFRESH_AGE else Stage.GOOD

    def _open_session(self) -> Session:
        """Return the session, made on first use."""
        session = self._session
        if session is None:
            try:
                boto3: Any = import_module("boto3")
                new_session: Session = boto3.Session(profile_name=self._profile, region_name=self._region)
            except Exception as error:  # noqa: BLE001 - botocore's and configparser's errors have no common root
                raise setup_error(error, self._owner, self._profile) from error.with_traceback(None)
            self._session = session = new_session
        return session

    def _find_endpoint(self, arn_region: str | None) -> Endpoint:
        if arn_region in self._endpoints:
            return self._endpoints[arn_region]
        session = self._open_session()
        region = arn_region or self._region or session.region_name or os.environ.get("AWS_REGION")
        if not region:
            raise no_region(self._owner, self._profile)
        try:
            endpoint = Endpoint(self._endpoint, region) if self._endpoint else _resolve_endpoint(session, region)
        except Exception as error:  # noqa: BLE001 - as above
            raise setup_error(error, self._owner, self._profile) from error.with_traceback(None)
        self._endpoints[arn_region] = endpoint
        return endpoint

    def _fetch(self, old: Credentials | None) -> Credentials:
        """Find credentials, or let botocore refresh those that are about to expire."""
        if old is None:
            return self._load(None)
        if old is self._refused_credentials:
            return self._load_again(old)
        try:
            return self._read(old.source, old)
        except Exception as error:  # noqa: BLE001 - as above
            raise credentials_error(error, self._owner, self._profile, old.method) from error.with_traceback(None)

    def _load(self, old: Credentials | None) -> Credentials:
        session = self._open_session()
        try:
            source = session.get_credentials()
            credentials = self._read(source, old) if source is not None else None
        except Exception as error:  # noqa: BLE001 - as above, and a credential process may raise anything
            raise credentials_error(error, self._owner, self._profile) from error.with_traceback(None)
        if credentials is None or not credentials.keys.access_key or not credentials.keys.secret_key:
            raise no_credentials(self._owner, self._profile)
        return credentials

    def _load_again(self, old: Credentials) -> Credentials:
        """Find credentials again, although botocore considers the current ones valid."""
        if self._user_session is None:
            self._session = None  # a new session reads files and the environment again, and has no cache
        elif hasattr(old.source, "_protected_refresh"):
            try:
                with old.source._refresh_lock:  # noqa: SLF001 - the only way to it: botocore refreshes by the clock alone
                    old.source._protected_refresh(is_mandatory=True)  # noqa: SLF001 - as above
            except Exception as error:  # noqa: BLE001 - as above
                raise credentials_error(error, self._owner, self._profile) from error.with_traceback(None)
        return self._load(old)


def _resolve_endpoint(session: Session, region: str) -> Endpoint:
    """Let botocore resolve the endpoint: partition, FIPS, dual stack, AWS_ENDPOINT_URL and similar settings."""
    botocore: Any = import_module("botocore")
    config = import_module("botocore.config").Config(signature_version=botocore.UNSIGNED)
    client = session.client("bedrock-runtime", region_name=region, config=config)
    try:
        url: str = client.generate_presigned_url("converse", Params={"modelId": "m"})
        return Endpoint(url.partition("?")[0].removesuffix(MODEL_PATH), client.meta.region_name)
    finally:
        client.close()
