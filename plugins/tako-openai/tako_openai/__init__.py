"""OpenAI, and every server that speaks its Responses API or its Chat Completions.

https://platform.openai.com/docs/api-reference/responses and .../api-reference/chat.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

from tako.kit.checks import Default, check_text, explicit
from tako.kit.completions import Dialect, for_openai
from tako.kit.responses import Api, ResponsesProvider, check_api

if TYPE_CHECKING:
    from tako.kit.http import FetchOptions

BASE_URL = Default("https://api.openai.com/v1")


class OpenAI(ResponsesProvider):
    """A model of OpenAI, or of any compatible server.

    Args:
        model: The model, such as "gpt-6.2-sol".
        api_key: The key, or "$ENV:NAME". None reads OPENAI_API_KEY.
        base_url: Another server. By default OPENAI_BASE_URL, else OpenAI's own.
        organization: The organization that usage is booked on.
        project: The project that usage is booked on.
        api: "responses", "chat" (Chat Completions), or "auto". "auto" uses the Responses API at OpenAI's and Azure's
            own addresses, except for models before gpt-5 that don't reason, and Chat Completions anywhere else.
        require_finish: False accepts streams that end without a finish reason and without ``[DONE]``.
        reasoning_field: The field in which a server needs its own reasoning back, such as "reasoning_content". None
            uses the field that the server sent it in; "" sends none.
    """

    name = "openai"
    needs_event_loop = False
    key_variable = "OPENAI_API_KEY"
    file_purpose = "user_data"
    vendor_url = str(BASE_URL)
    conformance = "completions"  # tests use another server than OpenAI's own

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = BASE_URL,
        organization: str | None = None,
        project: str | None = None,
        api: Api = "auto",
        require_finish: bool = True,
        reasoning_field: str | None = None,
        **options: Unpack[FetchOptions],
    ) -> None:
        key = self.find_key(api_key)
        api_key = None  # a traceback with locals shows this frame
        base_url = explicit(base_url) or os.environ.get("OPENAI_BASE_URL") or BASE_URL
        super().__init__(model, api_key=key, base_url=base_url, **options)
        self.api = check_api(api, self.id)
        check_text(organization, "organization", self.id)
        check_text(project, "project", self.id)
        check_text(reasoning_field, "reasoning_field", self.id)
        self.dialect = Dialect(require_finish=require_finish, reasoning_text=reasoning_field)
        if organization is not None:
            self.add_headers({"openai-organization": organization})
        if project is not None:
            self.add_headers({"openai-project": project})

    def dialect_of(self, model: str) -> Dialect:
        """Return the differences of this model's API."""
        return for_openai(self.dialect, model)
