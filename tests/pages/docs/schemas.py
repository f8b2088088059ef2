# %% 1
from tako.testing.dialects import COMPLETIONS, Call, Script
import tako

script = Script(calls=(Call("github_com_list_issues", {"repo": "tako"}, "call_1"),))
server = stack.enter_context(COMPLETIONS.serve(script))
provider = tako.providers.OpenAI("gpt-5.2", api_key="sk-test", base_url=server.url)
