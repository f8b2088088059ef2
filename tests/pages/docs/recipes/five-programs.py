# %% 1
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Call, Script


def answer(request):
    messages = request.json["messages"]
    if "response_format" in request.json:
        return Script(text='{"title": "Octopuses", "about": "animals"}')
    if request.json.get("tools") and messages[-1]["role"] != "tool":
        return Script(calls=(Call("stock", {"item": "tea"}, "call-1"), Call("price", {"item": "tea"}, "call-2")))
    return Script(text="Tea: 3 left, 2.50 each." if request.json.get("tools") else "Hello there.")


if "TAKO_MODEL" not in os.environ:
    server = stack.enter_context(DIALECTS["completions"].serve(answer))
    os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url, "TAKO_MODEL": "openai:gpt-6-luna"}

# %% 2
from fastapi.testclient import TestClient

with TestClient(app) as client:
    answer = client.get("/ask?question=Say hello").text
    assert answer.startswith("data: ") and answer.endswith("event: done\ndata: {}\n\n")

# %% 3
assert isinstance(summary, Note) and summary.about in ("animals", "machines")

# %% 4
assert result.rounds >= 1

# %% 5
assert sum(tally.values()) == 2 and main.id not in tally

# %% end
client = site.test_client()
for turn in (1, 2):
    reply_of_flask = client.post("/say/ada", json={"text": "Say hello."}).json
    assert reply_of_flask["answer"] and reply_of_flask["turns"] == turn
