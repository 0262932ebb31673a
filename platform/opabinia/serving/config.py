"""Settings of the HTTP service."""

from __future__ import annotations

from pydantic import Field, model_validator

from opabinia.config import Config

# Room in a request for everything that is not the picture: messages, parameters, JSON punctuation.
_TEXT_BYTES = 1 << 20


class ServingConfig(Config):
    """Where the models listen, what a request may ask of them, and what each replica may use."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on; the default can be reached from this machine only. 0.0.0.0 listens on every interface."""

    port: int = Field(default=8000, ge=1, le=65535)
    """Port to listen on."""

    model_name: str = Field(default="opabinia", min_length=1)
    """The name under which requests ask for the champion."""

    api_key_env: str | None = Field(default=None, min_length=1)
    """Environment variable that holds the API key clients must send; none: any key is accepted."""

    max_image_bytes: int = Field(default=10 << 20, gt=0)
    """The largest image file accepted, in bytes."""

    max_image_pixels: int = Field(default=1 << 24, gt=0)
    """The largest image accepted, in pixels, width times height; read from its header before it is decoded."""

    max_text_characters: int = Field(default=1 << 15, gt=0)
    """The most text a conversation may hold, in characters; a model's own context may be shorter."""

    default_max_tokens: int = Field(default=64, gt=0)
    """Tokens generated at most for a request that sets neither max_tokens nor max_completion_tokens."""

    max_tokens: int = Field(default=512, gt=0)
    """The most tokens a request may ask for."""

    default_temperature: float = Field(default=0.0, ge=0, le=2)
    """Temperature of a request that sets none; 0 always takes the likeliest token."""

    max_batch_size: int = Field(default=8, gt=0)
    """Requests that a replica answers together."""

    batch_wait_s: float = Field(default=0.005, ge=0)
    """How long, in seconds, an idle replica waits for company; while it computes, the next batch forms by itself."""

    max_queued_requests: int = Field(default=64, gt=0)
    """Requests that may wait for one copy of a model; further ones are refused with status 503."""

    request_timeout_s: float = Field(default=120.0, gt=0)
    """Seconds after which an unanswered request is given up with status 504."""

    startup_timeout_s: float = Field(default=300.0, gt=0)
    """Seconds that the models have to load and become ready."""

    replicas: int = Field(default=1, gt=0)
    """Copies of each model."""

    num_cpus: float = Field(default=1.0, ge=0)
    """CPUs reserved for each replica."""

    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs reserved for each replica."""

    @property
    def max_request_bytes(self) -> int:
        """The largest request body, in bytes: the largest image in base64, and text."""
        return _TEXT_BYTES + (self.max_image_bytes + 2) // 3 * 4

    @model_validator(mode="after")
    def _default_fits_limit(self) -> ServingConfig:
        if self.default_max_tokens > self.max_tokens:
            raise ValueError(
                f"default_max_tokens: {self.default_max_tokens} is above max_tokens ({self.max_tokens}); "
                "lower it or raise max_tokens"
            )
        return self
