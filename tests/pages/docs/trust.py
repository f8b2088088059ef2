# %% 1
import os
from pathlib import Path

os.environ |= {
    "HOME": str(Path.cwd() / "home"),
    "XDG_CONFIG_HOME": str(Path.cwd() / "home"),
    "XDG_STATE_HOME": str(Path.cwd() / "home"),
}
os.environ.pop("TAKO_CONFIG", None)
Path("tako.toml").write_text('default = "a"\n[providers.a]\nuse = "ollama:llama3.2"\n')

# %% end
assert config.default == "a"
from tako.cli import main

assert main(["trust", "--yes"]) == 0
assert tako.load_config().default == "a"
