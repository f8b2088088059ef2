# %% 1
from tako import providers

provider = providers.PythonProvider(
    "p",
    lambda request: (
        '{"value": 7}' if "number" in request.messages[-1].text else f"That's turn {len(request.messages) // 2}."
    ),
    stream=lambda request: iter(["So ", "be ", "it."]),
)

# %% 2
assert [message.role for message in conversation.messages] == ["user", "assistant"] * 2
