"""Winners behind an HTTP endpoint that speaks the OpenAI protocol."""
