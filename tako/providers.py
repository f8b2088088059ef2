"""Every installed provider, by the name of its class: ``tako.providers.OpenAI``.

Listing imports nothing; a class is imported when its name is first used. Nothing public is defined here: a name of
this module would hide the provider of the same name.
"""

from __future__ import annotations

import typing as _t

if _t.TYPE_CHECKING:
    from tako_anthropic import Anthropic as Anthropic
    from tako_azure_openai import AzureOpenAI as AzureOpenAI
    from tako_bedrock import Bedrock as Bedrock
    from tako_fallback import Fallback as Fallback
    from tako_http_generic import HttpGeneric as HttpGeneric
    from tako_llamacpp import LlamaCpp as LlamaCpp
    from tako_mistral import Mistral as Mistral
    from tako_ollama import Ollama as Ollama
    from tako_openai import OpenAI as OpenAI
    from tako_python import PythonProvider as PythonProvider
    from tako_vertex import Vertex as Vertex
    from tako_vertex.gemini import Gemini as Gemini

    from tako.provider import Provider as _Provider


def __getattr__(name: str) -> type[_Provider]:
    if name.startswith("__"):
        raise AttributeError(f"module 'tako.providers' has no attribute {name!r}")
    from tako.hooks import PLUGINS

    return PLUGINS.provider_class(name, by_class=True)


def __dir__() -> list[str]:
    from tako.discovery import provider_entries

    return sorted({entry.attr for entry in provider_entries()})
