"""Folders that `AutoModelForCausalLM` and `AutoProcessor` of transformers open once `opabinia` is imported."""
