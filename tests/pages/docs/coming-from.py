# %% 1
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script

server = stack.enter_context(DIALECTS["completions"].serve(Script(text="Hello.")))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
