# %% 1
import os
from tako.testing.server import reply, serve, sse


def answer(request):
    question = request.json["messages"][-1]["content"]
    if request.json.get("stream"):
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in ("Paris", ".")]
        return reply(sse(*events, {"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    return reply(json={"choices": [{"message": {"content": f"You said: {question}"}, "finish_reason": "stop"}]})


server = stack.enter_context(serve(answer))
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url

# %% 2
transcript = []


def answer_and_keep(request):
    transcript.append(request.json["messages"][-1]["content"])
    return answer(request)


os.environ["OPENAI_BASE_URL"] = stack.enter_context(serve(answer_and_keep)).url
provider = tako.get_provider("openai:gpt-6.2-sol")

# %% end
assert "How is our project?" in str(transcript[-1])
