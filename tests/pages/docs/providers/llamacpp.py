# %% 2
assert provider.blocking.chat(request).text == "The capital of France is Paris."

# %% end
import json

assert json.loads(provider.blocking.chat(request).text)["city"] == "Paris"
provider.blocking.close()
