"""Apache Arrow, which comes without types: Any from here on, so that strict type checking ends at this border."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeAlias

pa: Any = import_module("pyarrow")

pc: Any = import_module("pyarrow.compute")

ArrowTable: TypeAlias = Any
"""A pyarrow.Table."""

ArrowField: TypeAlias = Any
"""A pyarrow.Field."""

ArrowSchema: TypeAlias = Any
"""A pyarrow.Schema."""

ArrowArray: TypeAlias = Any
"""A pyarrow.Array."""
