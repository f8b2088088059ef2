# %% 1
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script


def answer(request):
    text = str(request.json["messages"][-1]["content"])
    return Script(text='{"name": "Ada", "age": 36}' if "person" in text else "Paris.")


server = stack.enter_context(DIALECTS["completions"].serve(answer))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
