"""LoRA adapters in a language model, through peft, which is imported only where adapters are added."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from opabinia.models.lora_config import LoraSettings
from opabinia.names import unknown
from opabinia.storage.atomic import whole_folder

if TYPE_CHECKING:
    from peft import LoraConfig
    from peft.tuners.lora import Linear as LoraLinear

_ADAPTER = "default"
_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model."
"""With which peft's own files begin the names of weights."""


def add_adapters(language_model: nn.Module, settings: LoraSettings) -> None:
    """Put adapters beside linear layers, in place; at first they change nothing, and nothing but them can learn.

    Hooks on the decoder's layers stay, and names of the layers' own weights get `.base_layer` in them. Call before sharding.
    Raises ValueError where peft is not installed, a target is no linear layer, or adapters are there already.
    """
    if adapters(language_model) is not None:
        raise ValueError("lora: the language model has adapters already; merge them before others are added")
    names = _targets(language_model, settings)
    _peft().inject_adapter_in_model(_config(settings, names), language_model, _ADAPTER)
    for _, layer in _adapted(language_model):
        # New layers are in training, whatever the model is.
        layer.train(layer.get_base_layer().training)


def adapters(language_model: nn.Module) -> nn.ModuleList | None:
    """All adapters, which hold what learns in such a model; None where there are none."""
    found = [part for _, layer in _adapted(language_model) for part in (layer.lora_A, layer.lora_B)]
    return nn.ModuleList(found) if found else None


@contextmanager
def merged(language_model: nn.Module) -> Generator[None]:
    """Inside, the model is a plain one of the same answers, for exports and checkpoints; after it, it is what it was, to the bit."""
    layers = _adapted(language_model)
    for name, layer in layers:
        language_model.set_submodule(name, _plain(layer))
    try:
        yield
    finally:
        for name, layer in layers:
            language_model.set_submodule(name, layer)


def merge_adapters(language_model: nn.Module) -> None:
    """Make it a plain model of the same answers, in place and for good."""
    for name, layer in _adapted(language_model):
        language_model.set_submodule(name, _plain(layer))
    del language_model.peft_config


def adapter_tensors(language_model: nn.Module) -> dict[str, Tensor]:
    """The adapters' weights under the names that peft's files have, without their beginning: `….q_proj.lora_A.weight`."""
    return dict(_peft().get_peft_model_state_dict(language_model, adapter_name=_ADAPTER))


def save_adapters(language_model: nn.Module, settings: LoraSettings, folder: Path) -> None:
    """Write the adapters alone, as peft's `PeftModel.from_pretrained` reads them. Raises ValueError when the folder exists."""
    from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

    tensors = {f"{_PREFIX}{name}": tensor.contiguous() for name, tensor in adapter_tensors(language_model).items()}
    names = [name for name, _ in _adapted(language_model)]
    with whole_folder(folder) as draft:
        save_file(tensors, str(draft / _WEIGHTS))
        (draft / _CONFIG).write_text(json.dumps(_plain_config(settings, names), indent=1) + "\n")


def load_adapters(language_model: nn.Module, folder: Path) -> None:
    """Give adapters that were added with the same settings the weights of `save_adapters`.

    Raises ValueError where a name or a shape does not fit.
    """
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

    saved = {name.removeprefix(_PREFIX): tensor for name, tensor in load_file(str(folder / _WEIGHTS)).items()}
    present = adapter_tensors(language_model)
    for name in sorted(saved.keys() ^ present.keys()):
        side = "are not in the model" if name in saved else "are missing"
        raise ValueError(f"adapters {folder}: weights {name} {side}; give lora the settings that they were saved with")
    for name, tensor in saved.items():
        if tensor.shape != present[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(present[name].shape)}"
            raise ValueError(f"adapters {folder}: {name} is {shapes}; give lora the rank that they were saved with")
    _peft().set_peft_model_state_dict(language_model, saved, adapter_name=_ADAPTER)


def _peft() -> Any:
    try:
        from peft import functional
    except ImportError as error:
        raise ValueError(
            "lora: needs the package peft; install the extra lora (pip install 'opabinia[lora]')"
        ) from error
    return functional


def _targets(language_model: nn.Module, settings: LoraSettings) -> list[str]:
    """Full names of the linear layers that get adapters."""
    llm: Any = language_model
    output = llm.get_output_embeddings()
    modules: dict[str, nn.Module] = dict(llm.named_modules())
    linear = [name for name, module in modules.items() if isinstance(module, nn.Linear) and module is not output]
    if settings.targets == "all_linear":
        return linear
    last = {name: name.rpartition(".")[2] for name in linear}
    for place, target in enumerate(settings.targets):
        if target not in last.values():
            raise unknown("linear layer", target, set(last.values()), place=f"lora.targets.{place}")
    return [name for name, ending in last.items() if ending in settings.targets]


def _config(settings: LoraSettings, names: list[str]) -> LoraConfig:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=names,
        task_type="CAUSAL_LM",
    )


def _plain_config(settings: LoraSettings, names: list[str]) -> dict[str, Any]:
    config: Any = _config(settings, names)
    # peft keeps the names as a set, which JSON has not.
    return {**config.to_dict(), "target_modules": sorted(names)}


def _adapted(language_model: nn.Module) -> list[tuple[str, LoraLinear]]:
    """The layers that have adapters, by name."""
    # Without adapters nothing of peft is looked for, which need not be installed.
    if not hasattr(language_model, "peft_config"):
        return []
    from peft.tuners.lora import Linear as LoraLinear

    llm: Any = language_model
    modules: dict[str, nn.Module] = dict(llm.named_modules())
    return [(name, module) for name, module in modules.items() if isinstance(module, LoraLinear)]


def _plain(layer: LoraLinear) -> nn.Linear:
    base: Any = layer.get_base_layer()
    plain = nn.Linear(base.in_features, base.out_features, base.bias is not None, device="meta")
    weight = base.weight.detach() + layer.get_delta_weight(_ADAPTER).detach()
    plain.weight = nn.Parameter(weight, requires_grad=base.weight.requires_grad)
    if base.bias is not None:
        plain.bias = base.bias
    return plain.train(layer.training)
