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
    ADDED_TEXT: "A text was put beside a document: the vendor refuses a document without one.",
    ADDED_TOOLS: "Tools were declared for earlier calls: the vendor refuses a history with calls without them.",
    ADDED_TURN: "A turn was put in between two others: the vendor refuses their order.",
    ALTERED_THINKING: "The vendor refused earlier thinking, since the conversation changed: it was sent again without.",
    BLOCKED: "The vendor refused the prompt or stopped the reply; the message has its word for why.",
    CHANGED_PARAMETER: "A parameter went out in another form, since the vendor has no such word.",
    CHANGED_PART: "A part went out in another form, since the wire cannot carry it as it is.",
    CHANGED_SCHEMA: "A schema went out in the form that the vendor wants; what fits it fits yours.",
    EMPTY_REPLY: "The vendor ended the reply as usual, but it has no text, no call and nothing else.",
    EMPTY_TEXT: "A text part without text was left out; vendors refuse those.",
    ERROR_FLAG: "A tool result went out without its error mark; the wire has none.",
    FELL_BACK: "A provider of a fallback failed, and another one was asked.",
    FINISH_MISSING: "The vendor ended the reply without saying why.",
    FOREIGN_STATE: "Reasoning, state or a block of another origin was left out; only who made it gets it back.",
    INVALID_IMAGE: "An image or a file was left out: its base64 or its data URL is broken.",
    LOOSENED_SCHEMA: "A schema went out without limits that the vendor doesn't take; a reply may exceed them.",
    LOST_PART: "Something of a reply could not be kept: it is neither in a part nor in raw.",
    MISPLACED_PART: "A part was left out: it cannot stand in a message of this role.",
    MODEL_LACKS_AUDIO: "Audio was sent to a model known to hear none; the request went out as it is.",
    MODEL_LACKS_DOCUMENTS: "A document was sent to a model known to read none; the request went out as it is.",
    MODEL_LACKS_JSON_MODE: "JSON was asked of a model known to have no such mode; the request went out as it is.",
    MODEL_LACKS_TOOLS: "Tools were offered to a model known to have none; the request went out as it is.",
    MODEL_LACKS_VIDEO: "A video was sent to a model known to see none; the request went out as it is.",
    MODEL_LACKS_VISION: "An image was sent to a model known to see none; the request went out as it is.",
    MODEL_RETIRES: "The vendor turns the model off soon, or has done so; the message has the day and what to use.",
    MOVED_TURN: "A message went out in another place: the vendor has no place for it where it stood.",
    ODD_USAGE: "The server's counts of tokens don't fit each other: a part is larger than the whole.",
    OTHER_API: "The model is known to need another API of the vendor's; the request went out as it was asked for.",
    OVER_LIMIT: "There are more files, or larger ones, than the vendor is known to take; they went out as they are.",
    RENAMED_TOOL: "A tool went out under a name that the vendor takes; its calls come back under its own.",
    REPAIRED_REPLY: "The reply didn't fit the type that was asked for, so it was asked for again.",
    UNANSWERED_CALL: "A tool call was left out: no result follows it, and the vendor refuses such calls.",
    UNKNOWN_CALL: "A tool result was left out: no earlier call has its id.",
    UNSUPPORTED_MEDIA_TYPE: "An image or a file was left out: its type is none that the provider takes.",
    UNSUPPORTED_PARAMETER: "A parameter was left out: the provider, or this model, has no such thing.",
    UNSUPPORTED_PART: "A part was left out: the wire has no place for its kind.",
    UNSUPPORTED_URL: "An image or a file was left out: nothing may fetch its address.",
}
"""Every code, and what it means. A code never changes its meaning; new ones may come."""

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
"""Codes that only inform. All others tell of a loss, which refuses a strict request."""


def is_loss(code: str) -> bool:
    """Whether a notice of this code tells that something of the request was left out or changed."""
    return code not in INFORMING
