"""Tell transformers of this library's models when it is imported, and not before: `import opabinia` stays quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def _register_config() -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    from opabinia.models.huggingface.config import OpabiniaConfig

    AutoConfig.register(OpabiniaConfig.model_type, OpabiniaConfig, exist_ok=True)


def _register_model() -> None:
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM, AutoModelForImageTextToText

    from opabinia.models.huggingface.config import OpabiniaConfig
    from opabinia.models.huggingface.model import OpabiniaForCausalLM

    library: tuple[Any, ...] = (AutoModelForCausalLM, AutoModelForImageTextToText)
    for auto in library:
        auto.register(OpabiniaConfig, OpabiniaForCausalLM, exist_ok=True)


def _register_processor() -> None:
    from transformers.models.auto.processing_auto import AutoProcessor

    from opabinia.models.huggingface.config import OpabiniaConfig
    from opabinia.models.huggingface.processor import OpabiniaProcessor

    library: Any = AutoProcessor
    library.register(OpabiniaConfig, OpabiniaProcessor, exist_ok=True)


_AUTO = "transformers.models.auto."
_WHEN_IMPORTED: dict[str, Callable[[], None]] = {
    _AUTO + "configuration_auto": _register_config,
    _AUTO + "modeling_auto": _register_model,
    _AUTO + "processing_auto": _register_processor,
}


class _Watch:
    """A finder that lets the usual one find the modules above, and registers right after each was run."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        register = _WHEN_IMPORTED.get(name)
        spec: Any = PathFinder.find_spec(name, path, target) if register else None
        if spec is None or register is None:
            return None
        run = spec.loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            register()

        spec.loader.exec_module = run_and_register
        return spec


def register_with_transformers() -> None:
    """At once where transformers is imported already, otherwise when it is."""
    if any(finder is _Watch for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Watch)
    for name, register in _WHEN_IMPORTED.items():
        if name in sys.modules:
            register()
