# %% 1
from tako import Capabilities, ChatResponse, Usage, providers

provider = providers.PythonProvider(
    "p",
    lambda request: {"text": "Paris.", "input_tokens": 1000, "output_tokens": 500},
    capabilities=Capabilities(usd_per_input_mtok=1.0, usd_per_output_mtok=2.0),
)

# %% 4
assert again == responses[0]
assert plain["text" if "text" in plain else "message"]
