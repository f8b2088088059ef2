# %% 1
import os
from tako.testing.server import reply, serve, sse

events = sse(
    {"choices": [{"delta": {"content": "Once upon "}}]},
    {"choices": [{"delta": {"content": "a time"}}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
)
server = stack.enter_context(
    serve(lambda request: reply(events[:1], ending="cut") if "a long story" in str(request.json) else reply(events))
)
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url

# %% 5
assert asyncio.run(cut()) == "Once upon "
from tako.testing.server import reply, serve, sse

pieces = ["<thi", "nk>\nTwo and two.\n</th", "ink>\n\nFour", "."]
chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
url = stack.enter_context(serve(reply(sse(*chunks, end)))).url

# %% end
assert (response.reasoning, response.text) == ("Two and two.", "Four.")
assert stream.response().text == "Once upon a time"
