"""Local models through Ollama's own API for tako."""
