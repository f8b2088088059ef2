# %% 1
from tako.testing.dialects import COMPLETIONS, Call, Script
import tako

script = Script(calls=(Call("github_com_list_issues", {"repo": "tako"}, "call_1"),))
server = stack.enter_context(COMPLETIONS.serve(script))
provider = tako.providers.OpenAI("gpt-5.2", api_key="sk-test", base_url=server.url)

# %% 2
assert response.tool_calls[0].name == "github.com/list issues"
assert [notice.code for notice in response.notices] == ["renamed_tool", "loosened_schema"]
