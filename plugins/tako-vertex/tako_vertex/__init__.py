"""Gemini on Google Cloud's Vertex AI for tako."""
