# %% 1
import json, os
from pathlib import Path
from tako.testing.server import reply, serve

PLAN = {
    "workers": [{"name": role, "task": f"Do your part: {role}"} for role in ("code", "math", "private")],
    "join_strategy": "all",
    "next_step": "summarise",
}


def answer(received):
    path = received.path
    if "converse" in path:
        return reply(
            json={
                "output": {"message": {"role": "assistant", "content": [{"text": "from Bedrock"}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 9, "outputTokens": 2, "totalTokens": 11},
            }
        )
    if "generateContent" in path:
        return reply(
            json={
                "candidates": [
                    {"content": {"role": "model", "parts": [{"text": "from Vertex"}]}, "finishReason": "STOP"}
                ],
                "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 2},
            }
        )
    if path == "/api/chat":
        return reply(
            json={
                "message": {"role": "assistant", "content": "from Ollama"},
                "done": True,
                "done_reason": "stop",
                "prompt_eval_count": 7,
                "eval_count": 2,
            }
        )
    text = "All parts are here." if "<result" in str(received.json) else json.dumps(PLAN)
    return reply(
        json={
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 20},
        }
    )


server = stack.enter_context(serve(answer))
os.environ |= {"AZURE_OPENAI_API_KEY": "k", "AWS_BEARER_TOKEN_BEDROCK": "k", "VERTEX_TOKEN": "k"}
quiet = "capabilities = { supports_streaming = false }"
Path("tako.toml").write_text(f'''
[providers.gpt]
use = "azure-openai"
model = "gpt-6.2-sol"
endpoint = "{server.url}"
deployment = "gpt-6.2-sol"
[providers.claude]
use = "bedrock"
model = "anthropic.claude-sonnet-5-5"
region = "eu-central-1"
endpoint_url = "{server.url}"
{quiet}
[providers.gemini]
use = "vertex"
model = "gemini-3.8-flash"
project_id = "acme"
access_token = "$ENV:VERTEX_TOKEN"
endpoint_url = "{server.url}"
{quiet}
[providers.local]
use = "ollama:llama3.2"
base_url = "{server.url}"
{quiet}
[conductor]
coordinator = "gpt"
worker_timeout = 90
workers = {{ code = "claude", math = "gemini", private = "local" }}
''')

# %% end
assert result.text == "All parts are here."
assert [one.text for one in result.steps[0].results] == ["from Bedrock", "from Vertex", "from Ollama"]
assert result.usage.total == 11 + 10 + 9 + 120
