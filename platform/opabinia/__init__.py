"""Opabinia: find out which vision encoders, joined by which connector, make the best multimodal language model."""
