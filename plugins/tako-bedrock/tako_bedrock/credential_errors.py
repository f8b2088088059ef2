"""boto3's errors as tako's, each in one line: which source was tried, and what to set."""

from __future__ import annotations

from tako.errors import AuthenticationError, ConfigurationError, ProviderError, TakoError, TransportError

SOURCES = (
    "the environment, the profile {profile} in ~/.aws (keys, SSO, roles, processes), container and instance metadata"
)
REMEDY = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_BEARER_TOKEN_BEDROCK"

SETTING_ERRORS = frozenset(
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
"""botocore's errors about a wrong setting. Others are temporary, or a refusal."""


def no_credentials(owner: str, profile: str | None) -> ConfigurationError:
    """Say that boto3 found no credentials anywhere."""
    return ConfigurationError(f"{owner} has no AWS credentials: tried {_sources(profile)}; {REMEDY}")


def no_region(owner: str, profile: str | None) -> ConfigurationError:
    """Say that no region is set anywhere."""
    name = profile or "default"
    return ConfigurationError(
        f"{owner} has no AWS region: tried AWS_DEFAULT_REGION, the profile {name!r} and AWS_REGION; "
        "set one, or pass region="
    )


def setup_error(error: Exception, owner: str, profile: str | None) -> ConfigurationError:
    """Say what is wrong with a session, a region or an endpoint."""
    if isinstance(error, ImportError):
        return ConfigurationError(f"{owner} needs boto3, which can't be imported: {_one_line(error)}")
    return ConfigurationError(
        f"{owner}: {_one_line(error)}; correct the profile {profile or 'default'!r} or the environment"
    )


def credentials_error(error: Exception, owner: str, profile: str | None, method: str | None = None) -> TakoError:
    """Say why boto3 got no credentials: a wrong setting, a refusal, or a service that doesn't answer."""
    class_names = {cls.__name__ for cls in type(error).__mro__}
    if class_names & SETTING_ERRORS:
        return ConfigurationError(f"{owner}: the AWS credentials are set up wrong: {_one_line(error)}; {REMEDY}")
    source = f"the source {method!r}" if method else _sources(profile)
    text = f"couldn't get AWS credentials from {source}: {_one_line(error)}"
    failure: ProviderError
    if class_names & {"HTTPClientError", "ConnectionError"}:
        failure = TransportError(text)
    else:
        failure = AuthenticationError(f"{text}; sign in again or correct the source, or {REMEDY}")
    failure.provider, _, failure.model = owner.partition(":")
    return failure


def _sources(profile: str | None) -> str:
    return SOURCES.format(profile=repr(profile or "default"))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
