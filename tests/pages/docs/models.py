# %% 1
import os

os.environ["ANTHROPIC_API_KEY"] = "sk-ant-test"
