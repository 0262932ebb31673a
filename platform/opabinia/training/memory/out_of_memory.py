"""When memory runs out: how much was missing, what takes it, and which settings free how much of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from opabinia.cluster.resources import usable_memory_bytes
from opabinia.training.memory.estimate import MemoryFacts, estimate_memory
from opabinia.training.memory.shortage import Shortage, find_shortage

_MIB, _GIB = 2**20, 2**30

# What the driver and NCCL hold on a device is less.
_MUCH = 0.1

_Knob = tuple[str, MemoryFacts]
"""A setting with its new value, and the facts as they would be with it."""


@contextmanager
def advising(facts: Callable[[], MemoryFacts]) -> Generator[None]:
    """Turn an error that says that memory ran out into a ValueError with advice; `facts` are asked for only then."""
    try:
        yield
    except (RuntimeError, ValueError, MemoryError) as error:
        shortage = find_shortage(error)
        if shortage is None:
            raise
        raise ValueError(_advice(shortage, facts())) from error


def advise(error: BaseException, facts: MemoryFacts) -> str | None:
    """One line with numbers and settings, the first to change first; None where the error is about something else."""
    shortage = find_shortage(error)
    return None if shortage is None else _advice(shortage, facts)


def _advice(shortage: Shortage, facts: MemoryFacts) -> str:
    if shortage.memory == "device":
        return _told(facts, _missing(shortage, facts.device), [_takes(facts), *_hints(shortage), _settings(facts)])
    shortage = replace(shortage, total=usable_memory_bytes())
    if facts.device == "cpu":
        return _told(facts, _missing(shortage, "cpu"), [_takes(facts), _settings(facts)])
    return _told(facts, _missing(shortage, f"the host of {facts.device}"), [_host_settings(facts)])


def _told(facts: MemoryFacts, missing: str, more: Iterable[str]) -> str:
    return f"stages: {facts.stage} ran out of memory on {missing}; {'; '.join(more)}"


def _missing(shortage: Shortage, where: str) -> str:
    amounts = (
        (shortage.asked, "more asked for"),
        (shortage.total, "there"),
        (shortage.free, "free"),
    )
    told = [f"{_amount(amount)} {what}" for amount, what in amounts if amount is not None]
    return f"{where} ({', '.join(told)})" if told else where


def _takes(facts: MemoryFacts) -> str:
    found = estimate_memory(facts)
    return (
        f"by estimate {_amount(found.weights)} are weights, {_amount(found.gradients)} gradients, {_amount(found.optimiser)} the "
        f"optimiser's, {_amount(found.activations)} activations of {facts.rows} rows of {facts.tokens} tokens, and "
        f"{_amount(found.logits)} logits"
    )


def _hints(shortage: Shortage) -> Iterator[str]:
    if shortage.elsewhere and shortage.total and shortage.elsewhere > _MUCH * shortage.total:
        yield f"{_amount(shortage.elsewhere)} are held by others than torch in this process, so end what else runs there"
    if shortage.asked and (shortage.fragments or 0) >= shortage.asked:
        yield (
            f"{_amount(shortage.fragments or 0)} lie in fragments, so set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True where "
            "the cluster's nodes start"
        )


def _settings(facts: MemoryFacts) -> str:
    before = estimate_memory(facts).total
    saved = [(setting, before - estimate_memory(changed).total) for setting, changed in _knobs(facts)]
    told = [f"{setting} (saves {_amount(saves)})" for setting, saves in saved if saves > 0]
    if not told:
        return "no setting saves anything more, so take shorter rows, a smaller model or larger devices"
    return f"set, in this order until it fits, each saving so much by itself: {', '.join(told)}"


def _knobs(facts: MemoryFacts) -> Iterator[_Knob]:
    share = facts.batch // facts.workers
    if facts.rows > 1:
        rows = _whole_part(share, facts.rows // 2)
        yield f"per_device_batch to {rows} instead of {facts.rows}", replace(facts, rows=rows)
    if facts.layers_twice < facts.layers:
        yield "activation_checkpointing.decoder_layers to 1", replace(facts, layers_twice=facts.layers)
    if not facts.sharded and facts.workers > 1:
        yield f"workers.sharding to sharded over the {facts.workers} workers", replace(facts, sharded=True)
    yield from _more_workers(facts)
    if facts.encoders:
        yield "cache.enabled to true", replace(facts, encoders=0)
    if facts.precision == "float32":
        yield "workers.precision to bfloat16", replace(facts, precision="bfloat16")


def _more_workers(facts: MemoryFacts) -> Iterator[_Knob]:
    """Twice as many that share weights and gradients, where the batch can be shared by them."""
    workers = 2 * facts.workers
    if (facts.workers == 1 or facts.sharded) and facts.batch % workers == 0:
        rows = _whole_part(facts.batch // workers, facts.rows)
        changed = replace(facts, workers=workers, sharded=True, rows=rows)
        yield f"workers.count to {workers} with workers.sharding: sharded", changed


def _host_settings(facts: MemoryFacts) -> str:
    told = list[str]()
    if facts.data_tasks > 1:
        told.append(f"workers.data_tasks to {facts.data_tasks // 2} instead of {facts.data_tasks}")
    if facts.cached >= 2 * _MIB:
        mib = facts.cached // 2 // _MIB
        told.append(f"cache.memory_mib to {mib} (saves {_amount(facts.cached - mib * _MIB)} for each worker)")
    return f"set {', or '.join(told)}" if told else "take hosts with more memory, or fewer workers to a host"


def _whole_part(share: int, most: int) -> int:
    """The largest number of rows up to `most` by which the share can be divided."""
    return next(rows for rows in range(min(share, most), 0, -1) if share % rows == 0)


def _amount(amount: int) -> str:
    if amount >= _GIB:
        return f"{amount / _GIB:.1f} GiB"
    return f"{amount / _MIB:.0f} MiB" if amount >= _MIB else f"{amount / 1024:.1f} KiB"
