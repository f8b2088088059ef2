"""Where a model is asked: hosts by location, paths by project and publisher.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations and .../start/express-mode.
"""

from __future__ import annotations

import re

from tako.errors import ConfigurationError
from tako.kit.checks import Default, path_of
from tako.kit.families import rules_of

LOCATION = Default("global")
MULTI_REGIONS = frozenset({"us", "eu"})
SERVED = ("anthropic", "google")
"""The publishers whose models are served here."""
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_PUBLISHER = re.compile(r"(?:^|/)publishers/([^/]+)/")
_PLACED = re.compile(r"projects/[^/]+/locations/([^/]+)/")


def host_of(location: str, owner: str) -> str:
    """Return the base URL of a region ("europe-west4"), of a multi-region ("eu"), or of "global".

    Raises ConfigurationError on what cannot be a part of a host name.
    """
    if not _NAME.fullmatch(location):
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

    A bare name is Google's, and Anthropic's if it's a Claude; "anthropic/…" names the publisher; "publishers/…" and
    "projects/…/endpoints/…" (a tuned model) are taken as they are. Raises ConfigurationError on a path that steps out
    of its place.
    """
    name = model.strip("/").removeprefix("models/")
    path = path_of(name, "model", owner, safe="/@")
    if not name.startswith(("projects/", "publishers/", "endpoints/")):
        publisher, slash, own = path.partition("/")
        maker = "anthropic" if rules_of(name).family == "claude" else "google"
        return f"publishers/{publisher}/models/{own}" if slash else f"publishers/{maker}/models/{path}"
    return path


def check_served(path: str, owner: str) -> None:
    """Raise ConfigurationError for the path of a model that's asked in neither Gemini's shape nor Claude's."""
    publisher = _PUBLISHER.search(path)
    if publisher is not None and publisher[1] not in SERVED:
        raise ConfigurationError(
            f"{owner}: models of {publisher[1]!r} aren't asked in Gemini's shape; if Google has an OpenAI-compatible "
            "address for it, use OpenAI(model, base_url=…)"
        )


def location_of(path: str) -> str | None:
    """Return the location that a model's path names, None if it names none."""
    placed = _PLACED.match(path)
    return placed[1] if placed else None


def address(base: str, project: str | None, location: str, path: str, *, verb: str) -> str:
    """Put the URL of a call together; without a project it is express mode's."""
    if project is not None and not path.startswith("projects/"):
        path = f"projects/{path_of(project, 'project_id', 'vertex', safe=':')}/locations/{location}/{path}"
    return f"{base}/v1/{path}:{verb}"
