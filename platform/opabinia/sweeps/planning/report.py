"""A sweep's plan as a page of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from opabinia.columns import aligned
from opabinia.features.room import free_bytes, size_text
from opabinia.sweeps.planning.caching import EncoderPlan, table_bytes
from opabinia.sweeps.planning.plan import SweepPlan
from opabinia.sweeps.planning.timing import Configuration
from opabinia.sweeps.possible import say_left_out

_UNKNOWN = "?"
_SOURCES = {
    "measured": "in earlier sweeps of this experiment",
    "scaled": "from operations, at the pace of the trials that were measured",
    "table": "from operations, at the tabulated rate",
}


def render_plan(plan: SweepPlan) -> str:
    """All of it; what is an estimate says so."""
    parts = [_head(plan), [], *_tables(plan), [], _summary(plan), _notes(plan)]
    return "\n".join(line for part in parts for line in part or [""])


TRIAL_COLUMNS = ("trial", "seeds", "parameters", "trained", "FLOP each", "time each", "device hours", "time is")


def trial_rows(plan: SweepPlan) -> list[tuple[str, ...]]:
    """A row a configuration; time is of one trial, device-hours of all its seeds."""
    return [_trial(plan, one) for one in plan.configurations]


def clock(seconds: float) -> str:
    """In the two largest units that say something: 35 s, 2 min 05 s, 12 min, 3 h 20 min, 4 d 6 h."""
    whole = math.ceil(seconds)
    if whole < 600:
        return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def count_text(number: float) -> str:
    """Three digits and a unit: 694 K, 1.32 M, 7.24 B."""
    return _scaled(number, "KMBT")


def flop_text(number: float) -> str:
    """The same of operations: 95.4 M, 1.23 T, 28.6 P."""
    return _scaled(number, "KMGTPEZ")


def _scaled(number: float, units: str) -> str:
    power = min(len(units), int(math.log10(number) // 3)) if number >= 1000 else 0
    return f"{number / 1000**power:.3g} {units[power - 1]}" if power else f"{number:.3g}"


def _head(plan: SweepPlan) -> list[str]:
    seeds = len(plan.configurations[0].runs)
    configurations = len(plan.configurations) if plan.draws is None else plan.draws // seeds
    return [
        f"plan of {plan.name}: {'' if plan.draws is None else 'at most '}{plan.trials} trials = "
        f"{_several(configurations, 'configuration')} × {_several(seeds, 'seed')}; nothing was started",
        *([f"search    {plan.search}"] if plan.search else []),
        *_stage_lines(plan),
        f"machines  {plan.machines.text}",
        f"a trial   {plan.demand.text}, and {plan.demand.beside:g} CPUs beside for its driver and its data; "
        + (f"{plan.at_once} at once" if plan.at_once else f"none fits now: {plan.waits}"),
    ]


def _stage_lines(plan: SweepPlan) -> list[str]:
    """Of each variant, those of its first configuration."""
    by_variant = {one.runs[0].variant: one.runs[0].stages for one in reversed(plan.configurations)}
    lengths = {
        variant: ", ".join(f"{stage.name} {stage.steps:,} × {stage.batch:,}" for stage in stages)
        for variant, stages in reversed(by_variant.items())
    }
    named = [text if variant is None else f"{variant}: {text}" for variant, text in lengths.items()]
    heads = ["stages    ", *[" " * 10] * (len(named) - 1)]
    return [f"{head}{text} (steps × batch)" for head, text in zip(heads, named, strict=True)]


def _several(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _tables(plan: SweepPlan) -> list[list[str]]:
    return [
        aligned([TRIAL_COLUMNS, *trial_rows(plan)]),
        [],
        aligned([("stage", "trained", "samples", "FLOP a trial", "share"), *_stage_rows(plan)]),
        [],
        aligned([_ENCODER_COLUMNS, *(_encoder(one) for one in plan.encoders)]),
    ]


def _trial(plan: SweepPlan, one: Configuration) -> tuple[str, ...]:
    hours = None if one.seconds is None else one.seconds * len(one.runs) * plan.demand.devices / 3600
    return (
        one.name,
        str(len(one.runs)),
        count_text(one.arithmetic.parameters),
        count_text(one.arithmetic.trained),
        flop_text(one.arithmetic.flops),
        _UNKNOWN if one.seconds is None else clock(one.seconds),
        _UNKNOWN if hours is None else _rounded(hours),
        one.source or "no rate",
    )


def _stage_rows(plan: SweepPlan) -> list[tuple[str, ...]]:
    """Each stage over all configurations that have it, from the smallest to the largest; scoring last, where it is known."""
    found: dict[str, list[tuple[int, float, float, float]]] = {}
    for one in plan.configurations:
        whole = one.arithmetic.flops
        for stage in one.arithmetic.stages:
            found.setdefault(stage.name, []).append((stage.trained, stage.samples, stage.flops, stage.flops / whole))
    texts = (count_text, count_text, flop_text, _percent)
    rows = [
        (name, *(_range(values, text) for values, text in zip(zip(*numbers, strict=True), texts, strict=True)))
        for name, numbers in found.items()
    ]
    if plan.workloads.questions is None:
        return rows
    scoring = [one.arithmetic.scoring for one in plan.configurations]
    shares = [one.arithmetic.scoring / one.arithmetic.flops for one in plan.configurations]
    return [*rows, ("scoring", "–", "–", _range(scoring, flop_text), _range(shares, _percent))]


_ENCODER_COLUMNS = (
    "encoder",
    "parameters",
    "FLOP a picture",
    "to encode",
    "table",
    "once + reading",
    "every time",
    "caching pays",
)


def _encoder(one: EncoderPlan) -> tuple[str, ...]:
    from opabinia.encoders.catalogue import find_encoder

    return (
        one.encoder,
        count_text(find_encoder(one.encoder).parameters),
        f"{'' if one.counted else '~'}{flop_text(one.flops)}",
        "–" if one.learns else _UNKNOWN if one.missing is None else f"{one.missing:,}",
        "–" if one.learns else _UNKNOWN if one.bytes is None else size_text(one.bytes),
        "–" if one.learns else _time(one.once_s),
        _time(one.every_time_s),
        _pays(one),
    )


def _pays(one: EncoderPlan) -> str:
    if one.learns:
        return "cannot: it learns"
    if one.pays is not None:
        return "yes" if one.pays else "no"
    if one.encode_s is None:
        return _UNKNOWN
    return "reading is cheaper" if one.read_s < one.encode_s else "encoding is cheaper"


def _time(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else clock(seconds)


def _summary(plan: SweepPlan) -> list[str]:
    size = table_bytes(plan.encoders)
    cached = plan.configurations[0].runs[0].cache.enabled
    folder = plan.configurations[0].runs[0].inputs.parent
    table = (
        "no table (cache.enabled is false)"
        if not cached
        else (
            f"{_UNKNOWN if size is None else size_text(size)} to write; {size_text(free_bytes(folder))} free on its disk"
            f"{f'; REFUSED: {plan.too_large}' if plan.too_large else ''}"
        )
    )
    early = ("at most ", ", and early stopping makes it less") if plan.stops_early else ("", "")
    wall = _of_draws(plan, lambda one: _time(one.wall_seconds))
    hours = _of_draws(plan, lambda one: _UNKNOWN if one.device_hours is None else _rounded(one.device_hours))
    flops = _of_draws(plan, lambda one: flop_text(one.flops))
    dollars = _of_draws(plan, lambda one: _UNKNOWN if one.dollars is None else f"${_rounded(one.dollars)}")
    return [
        f"time      {early[0]}{wall}: {plan.at_once} at once{early[1]} (estimate)",
        f"devices   {hours} {plan.device} hours, {flops}FLOP (estimate)",
        f"money     {dollars} at {_price(plan)} (estimate)",
        f"features  {table}",
    ]


def _of_draws(plan: SweepPlan, text: Callable[[SweepPlan], str]) -> str:
    """Where trials are drawn, from what they come to if all are the cheapest to what if all are the dearest."""
    least, most = text(plan.cheapest) if plan.draws is not None else "", text(plan)
    return most if least in ("", most) else f"{least} to {most}"


def _price(plan: SweepPlan) -> str:
    if plan.rate is None:
        return (
            f"an unknown price: no line for {plan.device} in the table of rates; name one that has it with --rates FILE"
        )
    return f"${plan.rate.dollars_per_hour:g} for an hour of one {plan.device}, as of {plan.rate.dated}"


def _notes(plan: SweepPlan) -> list[str]:
    sources = list(dict.fromkeys(one.source for one in plan.configurations if one.source))
    rate = plan.rate
    notes = [f"{source}: {_SOURCES[source]}" for source in sources]
    if rate and ("table" in sources or plan.encoders):
        notes.append(
            f"one {plan.device}: {rate.tflops:g} TFLOP/s, {rate.utilisation:.0%} assumed to be reached ({rate.source}; {rate.dated})"
        )
    if plan.encoders:
        notes.append(f"reading: {plan.read_bytes_per_second / 1e6:g} MB/s assumed, a worker")
    if any(not one.counted for one in plan.encoders):
        notes.append("~ is told from the encoder's size, as of a plain transformer; the others were counted")
    if plan.workloads.questions is None:
        notes.append("scoring is left out: the benchmark's questions are not there yet")
    notes += plan.workloads.assumptions
    notes += [f"left out: {line}; its trials are run once" for line in plan.duplicates]
    return ["", *notes, *say_left_out(plan.left_out)]


def _range(values: Sequence[float], text: Callable[[float], str]) -> str:
    least, most = text(min(values)), text(max(values))
    return least if least == most else f"{least} to {most}"


def _rounded(amount: float) -> str:
    """As far as an estimate goes: 51,627, 38.9, 0.02."""
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def _percent(share: float) -> str:
    return f"{share:.0%}"
