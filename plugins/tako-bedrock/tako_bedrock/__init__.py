"""AWS Bedrock's Converse API for tako."""
