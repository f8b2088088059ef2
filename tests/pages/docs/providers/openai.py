# %% 1
import os
from tako.testing.server import reply, serve


def answer(request):
    if request.json.get("tools"):
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
        return reply(json={"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    return reply(
        json={"choices": [{"message": {"content": '{"name": "Ada"}', "reasoning": "Hm."}, "finish_reason": "stop"}]}
    )


server = stack.enter_context(serve(answer))
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url

# %% 2
local.base_url = server.url

# %% 5
assert server.requests[-1].json["messages"][1]["reasoning"] == "Hm."
