# %% 6
assert len(server.requests) == 2
import os

from tako.testing.script import Script

server = stack.enter_context(scripted("completions", Script(text="Short.")))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}

# %% end
assert first == "Short." and len(server.requests) == 1
