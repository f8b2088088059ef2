# %% 1
import json, os
from tako.testing.server import reply, serve

PLAN = {
    "workers": [{"name": "code", "task": "Write quicksort"}, {"name": "math", "task": "Prove that it ends"}],
    "join_strategy": "all",
    "next_step": "summarise",
}


def answer(received):
    body = received.json
    if received.path == "/v1/messages":
        return reply(
            json={
                "id": "a",
                "role": "assistant",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "def quicksort(...): ..."}],
                "usage": {"input_tokens": 20, "output_tokens": 9},
            }
        )
    text = "Each call has less to sort, so it ends."
    if "coordinate" in str(body):
        text = "It sorts, and it ends." if "<result" in str(body) else json.dumps(PLAN)
    return reply(
        json={
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 30, "completion_tokens": 5},
        }
    )


server = stack.enter_context(serve(answer))
for vendor in ("OPENAI", "ANTHROPIC"):
    os.environ[f"{vendor}_API_KEY"] = "sk-test"
    os.environ[f"{vendor}_BASE_URL"] = server.url

# %% 2
assert result.text == "It sorts, and it ends." and result.complete
assert set(result.usage_by_role) == {"code", "math", "coordinator"}
