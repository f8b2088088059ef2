# %% 1
import base64
import os
from tako.testing.server import reply, serve

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
jpeg_bytes_base64 = jpeg_b64 = base64.b64encode(b"\xff\xd8\xff\xe0" + b"." * 8).decode()
answer = {"choices": [{"message": {"content": "A cat."}, "finish_reason": "stop"}]}
server = stack.enter_context(serve(reply(json=answer)))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
from pathlib import Path

Path("photo.png").write_bytes(PNG)

# %% 2
sent = server.requests[0].json["messages"][0]["content"]
assert sent == [
    {"type": "text", "text": "Describe this image."},
    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + jpeg_b64}},
    {"type": "image_url", "image_url": {"url": "https://example.com/photo.jpg"}},
]
assert response.text == "A cat." and response.notices == []

# %% 4
pictures = stack.enter_context(serve(reply(PNG, headers={"content-type": "image/png"})))
ollama = stack.enter_context(serve(reply(json={"message": {"content": "A cat."}, "done": True, "done_reason": "stop"})))
os.environ["OLLAMA_HOST"] = ollama.url
registry = pictures.url

# %% end
assert ollama.requests[0].json["messages"][0]["images"] == [base64.b64encode(PNG).decode()]
