"""The name of a model behind what clouds, gateways and fine-tuning put around it."""

from __future__ import annotations

import re
from functools import lru_cache

OPAQUE = re.compile(
    r"arn:.*:(application-inference-profile|provisioned-model|custom-model-deployment|imported-model|endpoint|prompt)/"
    r"|(^|/)(endpoints|tunedmodels)/"
)
"""Names that tell nothing of the model behind them: Bedrock's profiles and deployments, Vertex's endpoints."""
_CUSTOM_MODEL = re.compile(r"arn:.*:custom-model/([^/]+)/")
_PREFIX = re.compile(
    r"^(?:(?:us|eu|apac|amer|global|us-gov|[a-z]{2})\.|(?:databricks|system\.ai|vertex|azure|bedrock)[-.]"
    r"|(?:anthropic|openai|amazon|meta|google)(?:\.|-{1,2})(?=[a-z])"
    r"|(?:mistral|mistralai|cohere|ai21|writer|qwen|moonshotai|moonshot|minimax|zai|nvidia|xai)\.(?=[a-z]))"
)
_DASHED_VERSION = re.compile(r"(?<=\d)-(\d)(?![\dbxk])")


@lru_cache(1024)
def bare_name(model: str) -> str:
    """Return a model's name as its maker writes it, in lower case, or "" where the name tells no model.

    Taken off are paths and ARNs (the last step names the model), regions and vendors ("us.anthropic."), gateways
    ("databricks-"), and what fine-tuning adds ("ft:BASE:…"). Versions have dots: "gpt-5-1" is "gpt-5.1". Dates and
    whatever else follows the name stay.
    """
    name = model.strip().lower()
    if OPAQUE.search(name):
        return ""
    if name.startswith("ft:"):
        name = name.split(":")[1]
    custom_model = _CUSTOM_MODEL.search(name)
    name = custom_model[1] if custom_model else name.rstrip("/").rpartition("/")[2]
    while (shorter := _PREFIX.sub("", name, count=1)) != name:
        name = shorter
    return _DASHED_VERSION.sub(r".\1", name)
