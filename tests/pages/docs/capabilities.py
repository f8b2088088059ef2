# %% 3
from tako.testing.server import reply, serve

vllm = stack.enter_context(serve(reply(json={"data": [{"id": "qwen3-8b", "max_model_len": 40960}]}))).url

# %% 4
assert local.capabilities.max_context_tokens == 40960
assert local.capability_origins()["max_context_tokens"] == f"{vllm}/models"

import os

from tako.testing.server import reply, serve

counting = stack.enter_context(
    serve(
        reply(
            json={
                "data": [{"id": "claude-sonnet-5-5", "display_name": "Claude Sonnet 5.5", "max_input_tokens": 1000000}]
            }
        ),
        reply(json={"input_tokens": 12}),
    )
)
os.environ |= {"ANTHROPIC_API_KEY": "sk-ant-test", "ANTHROPIC_BASE_URL": counting.url}

# %% 5
assert counted.input_tokens == 12
