# %% 1
import base64
import os
from tako.testing.server import reply, serve

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
answer = {"choices": [{"message": {"content": "A cat."}, "finish_reason": "stop"}]}
server = stack.enter_context(serve(reply(json=answer)))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
from pathlib import Path

Path("photo.png").write_bytes(PNG)

# %% 2
inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}
assert server.requests[0].json["messages"][0]["content"] == [{"type": "text", "text": "What's this?"}, inline]
assert response.text == "A cat." and response.notices == []

# %% 3
assert server.requests[1].json["messages"][0]["content"] == [
    {"type": "text", "text": "Compare these images."},
    inline,
    inline,
    {"type": "image_url", "image_url": {"url": "https://example.com/photo.jpg"}},
]
assert response.notices == []

# %% 4
pictures = stack.enter_context(serve(reply(PNG, headers={"content-type": "image/png"})))
ollama = stack.enter_context(serve(reply(json={"message": {"content": "A cat."}, "done": True, "done_reason": "stop"})))
os.environ["OLLAMA_HOST"] = ollama.url
registry = pictures.url

# %% end
assert ollama.requests[0].json["messages"][0]["images"] == [base64.b64encode(PNG).decode()]
