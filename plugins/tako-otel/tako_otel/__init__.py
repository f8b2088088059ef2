"""OpenTelemetry spans and metrics for every tako provider, by the GenAI semantic conventions."""
