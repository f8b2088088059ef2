"""What boto3 finds: the region, the endpoint and the credentials. It blocks, so it works in a thread of its own.

boto3 is imported here, on first use. Credentials that end are refreshed before they do, while calls go on with those
that still hold; a call waits only for credentials when it has none that are valid.
"""

from __future__ import annotations

import os
from copy import copy
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from tako.errors import TakoError
from tako.kit.flight import SingleFlight
from tako_bedrock.sources import missing, missing_region, refused, translated

if TYPE_CHECKING:
    from collections.abc import Awaitable

PAUSE = 60.0
"""Seconds between attempts to refresh credentials that are still valid."""
CONVERSE = "/model/m/converse"
SHORTEST = 3
"""Characters up to which nothing is a secret that could be taken out of a text."""

T = TypeVar("T")


class Session(Protocol):
    """What is asked of a ``boto3.Session``."""

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

    def same(self, other: Keys) -> bool:
        """Tell whether these are the keys of the other."""
        return (self.access_key, self.secret_key, self.token) == (other.access_key, other.secret_key, other.token)

    def hide(self, text: str) -> str:
        """Return a text with the secret ones taken out."""
        for secret in (self.secret_key, self.token):
            text = text.replace(secret, "***") if secret and len(secret) > SHORTEST else text
        return text


class Place(Struct, frozen=True):
    """Where requests go, without a slash at the end, and the region that signatures name."""

    endpoint: str
    region: str


class Held(Struct, frozen=True):
    """The credentials in use: boto3's object, and its keys when they were last read."""

    source: Any
    keys: Keys

    @property
    def method(self) -> str:
        """Where boto3 found them, in its own word ("env", "assume-role", "iam-role")."""
        return getattr(self.source, "method", None) or "the session"

    def ending(self, seconds: int | None = None) -> bool:
        """Tell whether they end within these seconds (by default: within the time that botocore refreshes in)."""
        needed = getattr(self.source, "refresh_needed", None)
        return needed is not None and bool(needed(seconds))


class Account:
    """The region, endpoint and credentials of one provider. Every method that may block has its single flight."""

    def __init__(
        self,
        owner: str,
        *,
        region: str | None,
        profile_name: str | None,
        endpoint_url: str | None,
        session: Session | None,
    ) -> None:
        self._owner = owner
        self._region = region
        self._profile = profile_name
        self._endpoint = endpoint_url
        self._given = session
        self._session: Session | None = session
        self._place: Place | None = None
        self._held: Held | None = None
        self._not_before = 0.0
        self._placing = SingleFlight(self._find_place, "tako-bedrock")
        self._loading = SingleFlight(lambda: self._held or self._load(), "tako-bedrock")  # who comes late finds it done
        self._preparing = SingleFlight(self._refresh, "tako-bedrock")
        self._refreshing = SingleFlight(self._refresh_ended, "tako-bedrock")
        self._refused: Held | None = None
        self._renewing = SingleFlight(self._renew, "tako-bedrock")

    async def place(self) -> Place:
        """Return where requests go; raises ConfigurationError where no region is set."""
        place = self._place
        return place if place is not None else await _fresh(self._placing.result())

    async def held(self) -> Held:
        """Return valid credentials; raises ConfigurationError, AuthenticationError or TransportError."""
        held = self._held
        if held is None:
            return await _fresh(self._loading.result())
        if not held.ending():
            return self._reread(held)
        if held.ending(0):
            return await _fresh(self._refreshing.result())
        if monotonic() >= self._not_before:
            self._not_before = monotonic() + PAUSE
            self._preparing.begin()
        return held

    async def renew(self, held: Held) -> bool:
        """Replace credentials that the vendor refused as expired; returns whether there are others now."""
        if self._held is not None and self._held.keys.same(held.keys):
            self._refused = held
            try:
                await self._renewing.result()
            except TakoError:
                return False
        return self._held is not None and not self._held.keys.same(held.keys)

    def hide(self, text: str) -> str:
        """Take the credentials out of a text."""
        return self._held.keys.hide(text) if self._held is not None else text

    def _reread(self, held: Held) -> Held:
        """Read the keys of a session that others use, too: who shares it may have refreshed them."""
        if self._given is None or not hasattr(held.source, "refresh_needed"):
            return held
        keys = Keys(held.source.get_frozen_credentials())
        if keys.same(held.keys):
            return held
        self._held = Held(held.source, keys)
        return self._held

    def _open(self) -> Session:
        """Return the session, made on first use."""
        if self._session is None:
            try:
                boto3: Any = import_module("boto3")
                self._session = boto3.Session(profile_name=self._profile, region_name=self._region)
            except Exception as error:  # noqa: BLE001 - botocore's and configparser's errors have no common root
                raise translated(error, self._owner, self._profile) from error.with_traceback(None)
        session = self._session
        assert session is not None
        return session

    def _find_place(self) -> Place:
        if self._place is not None:
            return self._place
        session = self._open()
        region = self._region or session.region_name or os.environ.get("AWS_REGION")
        if not region:
            raise missing_region(self._owner, self._profile)
        try:
            place = Place(self._endpoint, region) if self._endpoint else _resolved(session, region)
        except Exception as error:  # noqa: BLE001 - as above
            raise translated(error, self._owner, self._profile) from error.with_traceback(None)
        self._place = place
        return place

    def _load(self) -> Held:
        session = self._open()
        try:
            source = session.get_credentials()
            keys = Keys(source.get_frozen_credentials()) if source is not None else None
        except Exception as error:  # noqa: BLE001 - as above, and whatever a credential process raises
            raise refused(error, self._owner, self._profile) from error.with_traceback(None)
        if keys is None or not keys.access_key or not keys.secret_key:
            raise missing(self._owner, self._profile)
        self._not_before = monotonic() + PAUSE
        self._held = Held(source, keys)
        return self._held

    def _refresh(self) -> Held:
        """Let botocore refresh what is about to end."""
        held = self._held
        if held is None:
            return self._load()
        try:
            keys = Keys(held.source.get_frozen_credentials())
        except Exception as error:  # noqa: BLE001 - as above
            raise refused(error, self._owner, self._profile, held.method) from error.with_traceback(None)
        self._held = Held(held.source, keys)
        return self._held

    def _refresh_ended(self) -> Held:
        held = self._held
        return held if held is not None and not held.ending(0) else self._refresh()

    def _renew(self) -> Held:
        """Find credentials again although botocore takes those at hand for valid."""
        held, refused_ones = self._held, self._refused
        if held is not None and refused_ones is not None and not held.keys.same(refused_ones.keys):
            return held
        if self._given is None:
            self._session = None  # a new session reads files and the environment again, and has no cache
            return self._load()
        source: Any = held.source if held is not None else None
        if hasattr(source, "_protected_refresh"):
            try:
                with source._refresh_lock:  # noqa: SLF001 - the only way to it: botocore refreshes by the clock alone
                    source._protected_refresh(is_mandatory=True)  # noqa: SLF001 - as above
            except Exception as error:  # noqa: BLE001 - as above
                raise refused(error, self._owner, self._profile) from error.with_traceback(None)
        return self._load()


def _resolved(session: Session, region: str) -> Place:
    """Let botocore resolve the endpoint: partition, FIPS, dual stack, AWS_ENDPOINT_URL and its kin."""
    botocore: Any = import_module("botocore")
    config = import_module("botocore.config").Config(signature_version=botocore.UNSIGNED)
    client = session.client("bedrock-runtime", region_name=region, config=config)
    try:
        url: str = client.generate_presigned_url("converse", Params={"modelId": "m"})
        return Place(url.partition("?")[0].removesuffix(CONVERSE), client.meta.region_name)
    finally:
        client.close()


async def _fresh(work: Awaitable[T]) -> T:
    """Wait for a flight; everyone who waited gets an error of their own, for tracebacks grow as they are raised."""
    try:
        return await work
    except TakoError as error:
        failure, cause = copy(error), error.__cause__
    raise failure from cause
