# %% 1
import os
from tako.testing.server import reply, serve

completion = {
    "choices": [{"message": {"role": "assistant", "content": "food"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 1},
}
server = stack.enter_context(serve(reply(json=completion)))
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url
rows = [{"id": f"k{i}", "text": f"thing {i}"} for i in range(20)]
from importlib.util import find_spec

engine = "ray" if find_spec("ray") else "local"  # Ray is large, and is there only in a run of its own

# %% end
assert topics == {f"k{i}": "food" for i in range(20)}
