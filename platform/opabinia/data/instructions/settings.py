"""Which model is asked, how patiently, and what becomes of its answers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from opabinia.config import Config
from opabinia.data.instructions.filters import FilterConfig
from opabinia.data.instructions.retry import PatienceConfig
from opabinia.data.source_names import source_key


class EndpointConfig(Config):
    """An endpoint that speaks the OpenAI protocol: a vLLM server of your own, or a hosted one."""

    base_url: str = "http://127.0.0.1:8000/v1"
    """Address up to and including the version; /chat/completions is added."""

    model: str = Field(min_length=1)
    """Name of the model at the endpoint."""

    api_key_env: str | None = Field(default=None, min_length=1)
    """Name of the environment variable that holds the key, on every node; null for an endpoint that wants none."""

    temperature: float | None = Field(default=0.7, ge=0)
    """Sampling temperature, or null to leave it to the endpoint."""

    max_tokens: int | None = Field(default=2048, ge=1)
    """Longest answer, or null to leave it to the endpoint."""

    body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Further fields of each request's body, for what one endpoint alone knows."""

    timeout_s: float = Field(default=180.0, gt=0)
    """Seconds from sending a request to the last byte of its answer."""

    @field_validator("base_url")
    @classmethod
    def _holds_no_secret(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is no address; write http://HOST:PORT/v1 or https://HOST/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "holds more than scheme, host and path; the key belongs in the variable that api_key_env names"
            )
        return value.rstrip("/")

    @field_validator("body")
    @classmethod
    def _adds_and_does_not_replace(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if fixed := sorted({"model", "messages", "stream", "n"} & set(value)):
            raise ValueError(f"{fixed[0]} is set by the pipeline; leave it out")
        return value

    @property
    def host(self) -> str:
        """Host and port, without the rest of the address."""
        return urlsplit(self.base_url).netloc


class AskingConfig(Config):
    """How many requests are under way, and when asking stops."""

    at_once: int = Field(default=32, ge=1)
    """Requests in flight, over all processes together."""

    processes: int = Field(default=1, ge=1)
    """Ray tasks that share them; one carries some hundred requests a second."""

    requests_per_task: int = Field(default=500, ge=1)
    """Prompts that one Ray task is given."""

    attempts: int = Field(default=2, ge=1)
    """How often a prompt is asked in all while the answer cannot be used, each time with a word on what was wrong."""

    stop_after_failures: int = Field(default=20, ge=1)
    """Requests in a row that fail for good before a task stops the run: the endpoint or a setting is at fault then."""

    unanswered_limit: float = Field(default=0.0, ge=0, le=1)
    """Share of the prompts that may stay without an answer; above it nothing is written, and a second run asks those alone."""

    @model_validator(mode="after")
    def _each_process_has_a_request(self) -> Self:
        if self.processes > self.at_once:
            raise ValueError(f"processes: {self.processes} cannot share {self.at_once} requests; raise at_once")
        return self


class InstructionConfig(Config):
    """Question/answer pairs from captions or pages, by a language model."""

    endpoint: EndpointConfig
    """The model that writes them."""

    date: date
    """The day that goes into the provenance; given, so that the same settings write the same records."""

    asking: AskingConfig = AskingConfig()
    """How many requests are under way."""

    patience: PatienceConfig = PatienceConfig()
    """How a request that failed is repeated."""

    filters: FilterConfig = FilterConfig()
    """Which answers are dropped."""

    templates: Path | None = None
    """Table of prompt templates of your own (YAML or JSON), or null for ours."""

    prices: Path | None = None
    """Price table of your own (YAML or JSON), or null for ours."""

    licences: dict[str, str] = Field(default_factory=dict[str, str])
    """Source -> licence of its records that name none themselves."""

    shard_size: int = Field(default=10_000, ge=1)
    """Records of one output file."""

    words_at_least: int = Field(default=50, ge=0)
    """Words that a page's section must have (Tong et al. 2024, §5.1)."""

    context_words: int = Field(default=1000, ge=1)
    """Words of a section that are shown to the model."""

    page_source: str = Field(default="data-engine", min_length=1)
    """Name of the source of records made from pages."""

    topics: int = Field(default=20, ge=1)
    """Topics asked for in each subfield."""

    def licence_of(self, source: str) -> str | None:
        """The licence given for a source, however its name is written."""
        return {source_key(name): licence for name, licence in self.licences.items()}.get(source_key(source))
