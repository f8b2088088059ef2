"""The URL of a model: hosts by location, paths by project and publisher.

Source: https://docs.cloud.google.com/gemini-enterprise-agent-platform/resources/locations, and Vertex AI's page on
express mode.
"""

from __future__ import annotations

import re

from tako.errors import ConfigurationError
from tako.kit.checks import Default, path_of
from tako.kit.families import rules_of

DEFAULT_LOCATION = Default("global")
MULTI_REGIONS = frozenset({"us", "eu"})
PUBLISHERS = ("anthropic", "google")
"""The publishers whose models this plugin supports."""
_LOCATION = re.compile(r"[a-z][a-z0-9-]*")
_PUBLISHER = re.compile(r"(?:^|/)publishers/([^/]+)/")
_IN_LOCATION = re.compile(r"projects/[^/]+/locations/([^/]+)/")


def host_of(location: str, owner: str) -> str:
    """Return the base URL of a region ("europe-west4"), of a multi-region ("eu"), or of "global".

    Raises ConfigurationError if it can't be part of a host name.
    """
    if not _LOCATION.fullmatch(location):
        raise ConfigurationError(
            f"{owner}: location={location!r} isn't a location like 'europe-west4', 'eu' or 'global'"
        )
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def model_path(model: str, owner: str) -> str:
    """Return a model's path, percent-encoded.

    A bare name is Google's, or Anthropic's if it's a Claude. "anthropic/…" names the publisher. "publishers/…" and
    "projects/…/endpoints/…" (a tuned model) are used as they are. Raises ConfigurationError on a path with "..".
    """
    name = model.strip("/").removeprefix("models/")
    path = path_of(name, "model", owner, safe="/@")
    if not name.startswith(("projects/", "publishers/", "endpoints/")):
        publisher, slash, model_name = path.partition("/")
        default_publisher = "anthropic" if rules_of(name).family == "claude" else "google"
        return (
            f"publishers/{publisher}/models/{model_name}" if slash else f"publishers/{default_publisher}/models/{path}"
        )
    return path


def check_publisher(path: str, owner: str) -> None:
    """Raise ConfigurationError for the path of a model with another wire format than Gemini's and Claude's."""
    publisher = _PUBLISHER.search(path)
    if publisher is not None and publisher[1] not in PUBLISHERS:
        raise ConfigurationError(
            f"{owner}: models of {publisher[1]!r} don't use Gemini's wire format; if Google has an OpenAI-compatible "
            "URL for it, use OpenAI(model, base_url=…)"
        )


def location_of(path: str) -> str | None:
    """Return the location in a model's path, or None."""
    match = _IN_LOCATION.match(path)
    return match[1] if match else None


def call_url(base: str, project: str | None, location: str, path: str, *, verb: str) -> str:
    """Return the URL of a call. Without a project it's that of express mode."""
    if project is not None and not path.startswith("projects/"):
        path = f"projects/{path_of(project, 'project_id', 'vertex', safe=':')}/locations/{location}/{path}"
    return f"{base}/v1/{path}:{verb}"
