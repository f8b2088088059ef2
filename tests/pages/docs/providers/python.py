# %% 4
from pathlib import Path

Path("my_answers.py").write_text("def shout(request):\n    return request.messages[-1].text.upper()\n")
import sys

stack.callback(sys.modules.pop, "my_answers", None)
stack.callback(sys.path.__setitem__, slice(None), list(sys.path))
