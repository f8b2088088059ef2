# %% 1
from tako import providers

REPLIES = {
    "Invent": '{"name": "Ada", "age": 36}',
    "Which": '{"value": "green"}',
    "Who": '{"value": [{"name": "Ada", "age": 36}]}',
}
provider = providers.PythonProvider(
    "p",
    lambda request: next(text for keyword, text in REPLIES.items() if keyword in request.messages[-1].text),
    stream=lambda request: iter('{"name": "Ada", "age": 36}'),
)

# %% 3
assert response.parsed == Person("Ada", 36)
