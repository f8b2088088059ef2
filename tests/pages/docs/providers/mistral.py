# %% 1
import os

from tako.testing.server import reply, serve

thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "12 times 12 …"}], "closed": True}
message = {"role": "assistant", "content": [thoughts, {"type": "text", "text": "144."}]}
answer = {
    "id": "c-1",
    "model": "mistral-small-2603",
    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
}
answer["usage"] = {"prompt_tokens": 31, "completion_tokens": 66, "num_cached_tokens": 16}
server = stack.enter_context(serve(reply(json=answer)))
os.environ["MISTRAL_API_KEY"] = "key-of-the-test"

# %% 2
provider.base_url = server.url

# %% 3
assert response.text == "144."

# %% end
assert response.reasoning == "12 times 12 …"
assert server.requests[-1].json["messages"][1]["content"][0] == thoughts
assert server.requests[-1].json["reasoning_effort"] == "high"
