# %% 1
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script


def answer(request):
    text = str(request.json["messages"][-1]["content"])
    return Script(text='{"mood": "good", "stars": 5}' if "Review" in text else "Hello there.")


server = stack.enter_context(DIALECTS["completions"].serve(answer))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}

# %% end
assert rows == [{"mood": "good", "stars": 5}] * 2
