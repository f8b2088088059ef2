"""The codes of notices: what a provider couldn't send of a request, and what was odd about a reply."""

from __future__ import annotations

ADDED_TEXT = "added_text"
ADDED_TOOLS = "added_tools"
ADDED_TURN = "added_turn"
ALTERED_THINKING = "altered_thinking"
BLOCKED = "blocked"
CHANGED_PARAMETER = "changed_parameter"
CHANGED_PART = "changed_part"
CHANGED_SCHEMA = "changed_schema"
EMPTY_REPLY = "empty_reply"
EMPTY_TEXT = "empty_text"
ERROR_FLAG = "error_flag"
FELL_BACK = "fell_back"
FINISH_MISSING = "finish_missing"
FOREIGN_STATE = "foreign_state"
INVALID_IMAGE = "invalid_image"
LOOSENED_SCHEMA = "loosened_schema"
LOST_PART = "lost_part"
MISPLACED_PART = "misplaced_part"
MIXED_CITATIONS = "mixed_citations"
MODEL_LACKS_AUDIO = "model_lacks_audio"
MODEL_LACKS_DOCUMENTS = "model_lacks_documents"
MODEL_LACKS_JSON_MODE = "model_lacks_json_mode"
MODEL_LACKS_TOOLS = "model_lacks_tools"
MODEL_LACKS_VIDEO = "model_lacks_video"
MODEL_LACKS_VISION = "model_lacks_vision"
MODEL_RETIRES = "model_retires"
MOVED_TURN = "moved_turn"
ODD_USAGE = "odd_usage"
OTHER_API = "other_api"
OVER_LIMIT = "over_limit"
RENAMED_TOOL = "renamed_tool"
REPAIRED_REPLY = "repaired_reply"
UNANSWERED_CALL = "unanswered_call"
UNKNOWN_CALL = "unknown_call"
UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
UNSUPPORTED_PARAMETER = "unsupported_parameter"
UNSUPPORTED_PART = "unsupported_part"
UNSUPPORTED_URL = "unsupported_url"

MEANINGS = {
    ADDED_TEXT: "The vendor refuses a document without text, so tako added one.",
    ADDED_TOOLS: "The vendor refuses earlier tool calls without declared tools, so tako declared them.",
    ADDED_TURN: "The vendor refuses this order of turns, so tako added one in between.",
    ALTERED_THINKING: "The vendor refused earlier thinking, since the conversation changed. tako left it out.",
    BLOCKED: "The vendor refused the prompt or stopped the reply. The message has the vendor's reason.",
    CHANGED_PARAMETER: "A parameter was sent in another form, since the vendor doesn't have it as you gave it.",
    CHANGED_PART: "A part was sent in another form, since the vendor can't take it unchanged.",
    CHANGED_SCHEMA: "A schema was sent in the form that the vendor wants. Replies that match it also match yours.",
    EMPTY_REPLY: "The vendor ended the reply normally, but it's empty.",
    EMPTY_TEXT: "An empty text part was left out, since vendors refuse those.",
    ERROR_FLAG: "A tool result was sent without `is_error`, since the vendor doesn't have it.",
    FELL_BACK: "A provider of a fallback failed, and the next one was called.",
    FINISH_MISSING: "The vendor ended the reply without a reason.",
    FOREIGN_STATE: "Reasoning, state or a block was left out, since another provider or model made it.",
    INVALID_IMAGE: "An image or a file was left out, since it's empty, or its base64 or data URL is broken.",
    LOOSENED_SCHEMA: "A schema was sent without limits that the vendor doesn't take. Replies may exceed them.",
    LOST_PART: "Some of the reply couldn't be kept, neither in a part nor in `raw`.",
    MISPLACED_PART: "A part was left out, since a message of this role can't have it.",
    MIXED_CITATIONS: "Only some documents have citations, which the vendor refuses. They were sent unchanged.",
    MODEL_LACKS_AUDIO: "This model doesn't hear audio, as far as tako knows. The request was sent unchanged.",
    MODEL_LACKS_DOCUMENTS: "This model doesn't read documents, as far as tako knows. The request was sent unchanged.",
    MODEL_LACKS_JSON_MODE: "This model has no JSON mode, as far as tako knows. The request was sent unchanged.",
    MODEL_LACKS_TOOLS: "This model doesn't call tools, as far as tako knows. The request was sent unchanged.",
    MODEL_LACKS_VIDEO: "This model doesn't watch video, as far as tako knows. The request was sent unchanged.",
    MODEL_LACKS_VISION: "This model doesn't see images, as far as tako knows. The request was sent unchanged.",
    MODEL_RETIRES: "The vendor turns the model off soon, or has done so. The message has the day and the replacement.",
    MOVED_TURN: "A message was sent in another place, since the vendor can't take it where it was.",
    ODD_USAGE: "The server's token counts contradict each other: a part is larger than the whole.",
    OTHER_API: "The model needs another API of the vendor, as far as tako knows. The request was sent as you asked.",
    OVER_LIMIT: "There are more files, or larger ones, than the vendor takes. They were sent unchanged.",
    RENAMED_TOOL: "A tool was sent under a name that the vendor takes. Its calls come back under your name.",
    REPAIRED_REPLY: "The reply didn't fit your type, so tako asked again.",
    UNANSWERED_CALL: "A tool call without a result was left out, since the vendor refuses those.",
    UNKNOWN_CALL: "A tool result was left out, since no earlier call has its id.",
    UNSUPPORTED_MEDIA_TYPE: "An image or a file was left out, since the provider doesn't take its type.",
    UNSUPPORTED_PARAMETER: "A parameter was left out, since the provider or this model doesn't have it.",
    UNSUPPORTED_PART: "A part was left out, since the vendor has nothing like it.",
    UNSUPPORTED_URL: "An image or a file was left out, since nothing may fetch its address.",
}
"""Every code, and what it means. A code keeps its meaning, and new codes may come."""

INFORMING = frozenset(
    (
        ADDED_TEXT,
        ADDED_TOOLS,
        ADDED_TURN,
        ALTERED_THINKING,
        BLOCKED,
        CHANGED_SCHEMA,
        EMPTY_REPLY,
        FELL_BACK,
        FINISH_MISSING,
        LOST_PART,
        MODEL_RETIRES,
        MOVED_TURN,
        ODD_USAGE,
        OTHER_API,
        RENAMED_TOOL,
        REPAIRED_REPLY,
    )
)
"""Codes that only inform. All others mean a loss: a strict request with one is an error."""


def is_loss(code: str) -> bool:
    """Whether a notice with this code means that part of the request was left out or changed."""
    return code not in INFORMING
