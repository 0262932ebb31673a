"""The config.json of an exported model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec
from transformers.models.auto.configuration_auto import AutoConfig

from opabinia.models.multimodal_config import ModelConfig

if TYPE_CHECKING:
    from connectors.contract import GridShape


class OpabiniaConfig(PreTrainedConfig):
    """Enough to build the model again around its weights; encoders are named, and their own weights stay where they are.

    text_config: the language model's own. encoders: their ids. encoder_weights: id -> digest of the weights in training, for
    those that the catalogue knows. grids: side and width of each encoder's features. connector: as in an experiment file.
    image_token_id: stands once for every visual token in the processor's ids; the language model knows nothing of it.
    """

    model_type: ClassVar[str] = "opabinia"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama")
    }

    text_config: dict[str, Any] | PreTrainedConfig | None = None
    encoders: list[str] | None = None
    encoder_weights: dict[str, str] | None = None
    grids: list[list[int]] | None = None
    connector: dict[str, Any] | None = None
    row_separator: bool = False
    image_token_id: int = -1

    def makeup(self) -> ModelConfig:
        """Raises ValueError where a field is no setting of the connector."""
        return ModelConfig.model_validate(
            {
                "encoders": self.encoders,
                "connector": self.connector,
                "language_model": str(self.name_or_path or self.model_type),
                "row_separator": self.row_separator,
            }
        )

    def grid_shapes(self) -> list[GridShape]:
        from connectors.contract import GridShape

        return [GridShape(side, width) for side, width in self.grids or ()]
