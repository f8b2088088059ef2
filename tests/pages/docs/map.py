# %% 1
from tako.testing.server import reply, serve
import json, os

completion = {
    "choices": [{"message": {"role": "assistant", "content": "food"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 1},
}
server = stack.enter_context(serve(reply(json=completion)))
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url
with open("reviews.csv", "w") as file:
    file.write("id,text\na,Great soup\nb,Cold soup\n")

# %% 2
from tako.testing.server import reply, serve

labels = {
    "choices": [{"message": {"role": "assistant", "content": '{"topic": "food"}'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 1},
}
by_schema = stack.enter_context(serve(reply(json=labels)))
os.environ["OPENAI_BASE_URL"] = by_schema.url

# %% 3
assert result.data == {"topic": "food"}
wrong = JsonSchema("topic", {"properties": {"topic": {"enum": ["service"]}}})
(refused,) = tako_map.run(["Great soup"], "openai:gpt-6-luna", schema=wrong)
assert isinstance(refused.error, tako_map.AnswerError) and refused.error.response.text == '{"topic": "food"}'
os.environ["OPENAI_BASE_URL"] = server.url

# %% end
assert {
    result.key: result.text for result in tako_map.run([("a", "Hello"), ("b", "Goodbye")], "openai:gpt-6-luna")
} == {"a": "food", "b": "food"}
