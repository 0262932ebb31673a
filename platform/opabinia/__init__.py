"""Opabinia: find out which vision encoders, joined by which connector, make the best multimodal language model."""

from opabinia.models.huggingface.registration import register_with_transformers

register_with_transformers()
