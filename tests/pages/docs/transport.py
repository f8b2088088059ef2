# %% 2
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script

server = stack.enter_context(DIALECTS["completions"].serve(Script(text="Hello!")))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
shown = []
print = lambda *texts: shown.append(texts)

# %% end
del print
assert shown[0][0] == "POST" and "Hello" in shown[0][2] and shown[1] == ("Hello!",)
assert "sk-test" not in str(shown)
