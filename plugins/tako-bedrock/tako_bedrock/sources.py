"""What boto3's failures mean, each in one line: which source was tried, and what to set."""

from __future__ import annotations

from tako.errors import AuthenticationError, ConfigurationError, ProviderError, TakoError, TransportError

SOURCES = (
    "the environment, the profile {profile} in ~/.aws (keys, SSO, roles, processes), container and instance metadata"
)
REMEDY = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_BEARER_TOKEN_BEDROCK"

SETTINGS = frozenset(
    {
        "ConfigNotFound",
        "ConfigParseError",
        "InfiniteLoopConfigError",
        "InvalidConfigError",
        "InvalidEndpointConfigurationError",
        "InvalidRegionError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "UnknownCredentialError",
        "UnknownRegionError",
    }
)
"""botocore's errors that name a setting; others are of the moment, or of the one who refuses."""


def missing(owner: str, profile: str | None) -> ConfigurationError:
    """Say that the chain came to its end."""
    return ConfigurationError(f"{owner} has no AWS credentials: tried {_sources(profile)}; {REMEDY}")


def missing_region(owner: str, profile: str | None) -> ConfigurationError:
    """Say that no region is set anywhere."""
    name = profile or "default"
    return ConfigurationError(
        f"{owner} has no AWS region: tried AWS_DEFAULT_REGION, the profile {name!r} and AWS_REGION; "
        "set one, or pass region="
    )


def translated(error: Exception, owner: str, profile: str | None) -> ConfigurationError:
    """Say what is wrong with a session, a region or an endpoint."""
    if isinstance(error, ImportError):
        return ConfigurationError(f"{owner} needs boto3, which can't be imported: {_line(error)}")
    return ConfigurationError(
        f"{owner}: {_line(error)}; correct the profile {profile or 'default'!r} or the environment"
    )


def refused(error: Exception, owner: str, profile: str | None, method: str | None = None) -> TakoError:
    """Say why credentials could not be had: a wrong setting, a refusal, or a service that does not answer."""
    kinds = {cls.__name__ for cls in type(error).__mro__}
    if kinds & SETTINGS:
        return ConfigurationError(f"{owner}: the AWS credentials are set up wrong: {_line(error)}; {REMEDY}")
    source = f"the source {method!r}" if method else _sources(profile)
    text = f"couldn't get AWS credentials from {source}: {_line(error)}"
    made: ProviderError
    if kinds & {"HTTPClientError", "ConnectionError"}:
        made = TransportError(text)
    else:
        made = AuthenticationError(f"{text}; sign in again or correct the source, or {REMEDY}")
    made.provider, _, made.model = owner.partition(":")
    return made


def _sources(profile: str | None) -> str:
    return SOURCES.format(profile=repr(profile or "default"))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
