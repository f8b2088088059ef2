# %% 3
from tako.testing.server import reply, serve

vllm = stack.enter_context(serve(reply(json={"data": [{"id": "qwen3-8b", "max_model_len": 40960}]}))).url

# %% 4
import tako
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
claude = tako.providers.Anthropic("claude-sonnet-5-5", api_key="sk-ant-test", base_url=counting.url)
