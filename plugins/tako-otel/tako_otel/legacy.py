"""Names of version 1.41 of the conventions, the last one before they moved. Existing dashboards use them.

https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai. If ``OTEL_SEMCONV_STABILITY_OPT_IN``
contains ``gen_ai/dup``, they are added to the current names, as with other conventions that changed.
"""

from __future__ import annotations

import os

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
BOTH_VERSIONS = "gen_ai/dup"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - not a password
TOKENS = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
NEXT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
EXCEPTION_EVENT = "gen_ai.client.operation.exception"


def is_opted_in() -> bool:
    """Whether the environment requests these names."""
    return BOTH_VERSIONS in [value.strip() for value in os.environ.get(OPT_IN, "").split(",")]
