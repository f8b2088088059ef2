# %% 3
import os
from tako.testing.server import reply, serve

picture = BytesIO()
Image.new("RGB", (2, 2), "red").save(picture, "AVIF")
avif_bytes = picture.getvalue()
answer = {"choices": [{"message": {"content": "A red square."}, "finish_reason": "stop"}]}
server = stack.enter_context(serve(reply(json=answer)))
stack.callback(tako.unregister, "avif")
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}

# %% 4
sent = server.requests[0].json["messages"][0]["content"][1]["image_url"]["url"]
assert sent.startswith("data:image/png;base64,iVBORw0KGgo")

# %% 5
stack.callback(tako.unregister, "redact")

# %% end
assert server.requests[-1].json["messages"][0]["content"] == "Charge [card], please."
