"""Conversation formats: how turns are written for a language model whose tokenizer has no chat template, or the wrong one."""
