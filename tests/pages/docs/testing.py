# %% 1
import sys
from types import ModuleType
from tako_openai import OpenAI

sys.modules["acme"] = ModuleType("acme")
sys.modules["acme"].Acme = OpenAI
stack.callback(sys.modules.pop, "acme")
