# %% 1
import os
from tako.testing.server import reply, serve

line = (
    b'{"model": "qwen3", "message": {"role": "assistant", "content": "Paris."}, "done": true, "done_reason": "stop"}\n'
)
server = stack.enter_context(serve(reply(line, headers={"content-type": "application/x-ndjson"})))
os.environ["OLLAMA_HOST"] = server.url
