"""Pretrain Burgess's language model: a Llama of four layers on the world's text."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from opabinia.burgess.pretraining.schedule import cosine_with_warmup
from opabinia.burgess.pretraining.settings import LanguageModelPretraining
from opabinia.burgess.pretraining.text_corpus import WORDS_PER_POSITION, Passage, write_passage
from opabinia.burgess.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

_EMBEDDING_NOISE = 0.1
"""Standard deviation of the noise on telegram positions, relative to the embeddings' own: no connector is exact."""


def pretrain_language_model(config: LanguageModelPretraining, folder: Path) -> dict[str, float]:
    """Train, save model and tokenizer in Hugging Face format to `folder`, and return held-out accuracy per task (percent)."""
    torch.manual_seed(config.seed)
    model = _build(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = cosine_with_warmup(optimizer, config.steps)
    started = time.perf_counter()
    for step in range(config.steps):
        loss = _train_step(model, _batch(f"text-{config.seed}-{step}", config.batch))
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % config.log_every == 0:
            rate = (time.perf_counter() - started) / (step + 1)
            print(f"language model step {step} loss {loss:.3f} ({rate:.2f} s a step)", flush=True)
        if step % (config.log_every * 8) == 0 and step:
            print("  ", measure(model), flush=True)
            save(model, folder)
    save(model, folder)
    return measure(model)


def measure(model: LlamaForCausalLM, passages: int = 1500) -> dict[str, float]:
    """Percent of answers that the model gives whole, per task, on passages it was not trained on."""
    right: dict[str, list[bool]] = defaultdict(list)
    with torch.no_grad():
        for start in range(0, passages, 100):
            batch = _passages(f"measure-{start}", 100)
            tokens = _tensors(batch)
            guesses = model(inputs_embeds=_embed(model, tokens["words"], noise=0.0)).logits.argmax(-1)
            for row, passage in enumerate(batch):
                _judge(passage, guesses[row].tolist(), right)
    return {task: 100 * sum(marks) / len(marks) for task, marks in sorted(right.items())}


def save(model: LlamaForCausalLM, folder: Path) -> None:
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)


def _judge(passage: Passage, guesses: list[int], right: dict[str, list[bool]]) -> None:
    start = 0
    for index, task in enumerate(passage.tasks):
        if task and (index == 0 or passage.tasks[index - 1] == ""):
            start = index
        ends = index + 1 == len(passage.tasks) or passage.tasks[index + 1] == ""
        if task and ends:
            wanted = [position[0] for position in passage.positions[start : index + 1]]
            right[task].append(guesses[start - 1 : index] == wanted)


def _build(config: LanguageModelPretraining) -> LlamaForCausalLM:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer: Any = build_tokenizer()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=config.feed_forward,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _train_step(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> float:
    logits = model(inputs_embeds=_embed(model, batch["words"], noise=_EMBEDDING_NOISE)).logits
    losses = functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch["targets"][:, 1:].flatten(), reduction="none")
    weights = batch["weights"][:, 1:].flatten()
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return loss.item()


def _embed(model: LlamaForCausalLM, words: torch.Tensor, noise: float) -> torch.Tensor:
    """Sum of word embeddings: [batch, positions, words] -> [batch, positions, width]; padding words count nothing."""
    table: Any = model.get_input_embeddings()
    present = (words != 0).unsqueeze(-1)
    embedded = (table(words) * present).sum(-2)
    pooled = present.sum(-2) > 1
    spread = table.weight.detach().std()
    return embedded + torch.randn_like(embedded) * (noise * spread) * pooled


def _batch(seed: str, size: int) -> dict[str, torch.Tensor]:
    return _tensors(_passages(seed, size))


def _passages(seed: str, size: int) -> list[Passage]:
    rng = random.Random(seed)
    return [write_passage(rng) for _ in range(size)]


def _tensors(passages: list[Passage]) -> dict[str, torch.Tensor]:
    longest = max(len(passage.positions) for passage in passages)
    words = torch.zeros(len(passages), longest, WORDS_PER_POSITION, dtype=torch.long)
    weights = torch.zeros(len(passages), longest)
    for row, passage in enumerate(passages):
        padded = [(*position, *(0,) * (WORDS_PER_POSITION - len(position))) for position in passage.positions]
        words[row, : len(padded)] = torch.tensor(padded)
        weights[row, : len(padded)] = torch.tensor(passage.weights)
    return {"words": words, "targets": words[..., 0].contiguous(), "weights": weights}
