# %% 1
import base64, os
from tako.testing.server import reply, serve

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


def answer(request):
    if request.path.endswith(".png"):
        return reply(PNG, headers={"content-type": "image/png"})
    if request.path == "/api/show":
        return reply(
            json={
                "capabilities": ["completion", "tools"],
                "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
            }
        )
    message = {"role": "assistant", "content": "Paris."}
    if request.json.get("tools") and request.json["messages"][-1]["role"] == "user":
        message = {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}],
        }
    return reply(json={"model": "qwen3", "message": message, "done": True, "done_reason": "stop"})


server = stack.enter_context(serve(answer))
os.environ["OLLAMA_HOST"] = server.url
picture_url = server.url + "/cat.png"

# %% end
response = eyes.blocking.chat([tako.Message.user(question)])
assert not response.notices
