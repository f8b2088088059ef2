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
from tako.kit.flight import SingleFlight
from tako.kit.keys import Secret
from tako.kit.lease import Lease, Stage
from tako_bedrock.sources import missing, missing_region, refused, translated

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD = "tako-bedrock"
YOUNG = 60.0
"""Seconds for which credentials are left alone: some sources give ones that botocore would refresh from the start."""
CONVERSE = "/model/m/converse"


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
        for secret in filter(None, (self.secret_key, self.token)):
            text = Secret(secret).hide(text)
        return text


class Place(Struct, frozen=True):
    """Where requests go, without a slash at the end, and the region that signatures name."""

    endpoint: str
    region: str


class Held(Struct, frozen=True):
    """The credentials in use: boto3's object, and its keys as they were read at a time of the account's clock."""

    source: Any
    keys: Keys
    read_at: float

    @property
    def method(self) -> str:
        """Where boto3 found them, in its own word ("env", "assume-role", "iam-role")."""
        return getattr(self.source, "method", None) or "the session"

    def ending(self, seconds: int | None = None) -> bool:
        """Tell whether they end within these seconds (by default: within the time that botocore refreshes in)."""
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
        self._given = session
        self._clock = clock
        self._session: Session | None = session
        self._places: dict[str | None, Place] = {}  # by the region that a model names
        self._placing: dict[str | None, SingleFlight[Place]] = {}
        self._refused: Held | None = None
        self._lease = Lease(self._fetch, self._stage, name=THREAD, clock=clock)

    async def place(self, region: str | None = None) -> Place:
        """Return where requests go; raises ConfigurationError where no region is set.

        ``region`` is the one that a model's ARN names, which goes before any that is set.
        """
        if (place := self._places.get(region)) is not None:
            return place
        flight = self._placing.setdefault(region, SingleFlight(partial(self._find_place, region), THREAD))
        return await flight.result()

    async def held(self) -> Held:
        """Return valid credentials; raises ConfigurationError, AuthenticationError or TransportError."""
        held = await self._lease.get()
        return held if self._given is None or held.ending() else self._reread(held)

    async def renew(self, held: Held) -> bool:
        """Replace credentials that the vendor refused as expired; returns whether there are others now."""
        self._refused = held
        try:
            return await self._lease.replace(held) is not held
        except TakoError:
            return False

    def hide(self, text: str) -> str:
        """Take the credentials out of a text."""
        held = self._lease.held
        return held.keys.hide(text) if held is not None else text

    def _reread(self, held: Held) -> Held:
        """Read the keys of a session that others use, too: who shares it may have refreshed them."""
        if hasattr(held.source, "refresh_needed"):
            self._lease.held = held = self._read(held.source, held)
        return held

    def _read(self, source: Any, old: Held | None) -> Held:
        """Return the keys that a source has now; the old ones if they are the same."""
        keys = Keys(source.get_frozen_credentials())
        return old if old is not None and keys.same(old.keys) else Held(source, keys, self._clock())

    def _stage(self, held: Held) -> Stage:
        if not held.ending():
            return Stage.GOOD
        if held.ending(0):
            return Stage.ENDED
        return Stage.ENDING if self._clock() >= held.read_at + YOUNG else Stage.GOOD

    def _open(self) -> Session:
        """Return the session, made on first use."""
        session = self._session
        if session is None:
            try:
                boto3: Any = import_module("boto3")
                made: Session = boto3.Session(profile_name=self._profile, region_name=self._region)
            except Exception as error:  # noqa: BLE001 - botocore's and configparser's errors have no common root
                raise translated(error, self._owner, self._profile) from error.with_traceback(None)
            self._session = session = made
        return session

    def _find_place(self, named: str | None) -> Place:
        if named in self._places:
            return self._places[named]
        session = self._open()
        region = named or self._region or session.region_name or os.environ.get("AWS_REGION")
        if not region:
            raise missing_region(self._owner, self._profile)
        try:
            place = Place(self._endpoint, region) if self._endpoint else _resolved(session, region)
        except Exception as error:  # noqa: BLE001 - as above
            raise translated(error, self._owner, self._profile) from error.with_traceback(None)
        self._places[named] = place
        return place

    def _fetch(self, old: Held | None) -> Held:
        """Find credentials, or let botocore refresh what is about to end."""
        if old is None:
            return self._load(None)
        if old is self._refused:
            return self._renewed(old)
        try:
            return self._read(old.source, old)
        except Exception as error:  # noqa: BLE001 - as above
            raise refused(error, self._owner, self._profile, old.method) from error.with_traceback(None)

    def _load(self, old: Held | None) -> Held:
        session = self._open()
        try:
            source = session.get_credentials()
            held = self._read(source, old) if source is not None else None
        except Exception as error:  # noqa: BLE001 - as above, and whatever a credential process raises
            raise refused(error, self._owner, self._profile) from error.with_traceback(None)
        if held is None or not held.keys.access_key or not held.keys.secret_key:
            raise missing(self._owner, self._profile)
        return held

    def _renewed(self, old: Held) -> Held:
        """Find credentials again although botocore takes those at hand for valid."""
        if self._given is None:
            self._session = None  # a new session reads files and the environment again, and has no cache
        elif hasattr(old.source, "_protected_refresh"):
            try:
                with old.source._refresh_lock:  # noqa: SLF001 - the only way to it: botocore refreshes by the clock alone
                    old.source._protected_refresh(is_mandatory=True)  # noqa: SLF001 - as above
            except Exception as error:  # noqa: BLE001 - as above
                raise refused(error, self._owner, self._profile) from error.with_traceback(None)
        return self._load(old)


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
