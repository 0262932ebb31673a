"""Start, stop and look at the services of this machine: python -m opabinia.cluster up | down | status | env.

On a machine of a Google Cloud cluster: python -m opabinia.cluster preemption-watch.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from itertools import takewhile

from opabinia.cluster.config import LocalConfig, port_flags
from opabinia.command_line import parse_settings, plain_errors
from opabinia.names import unknown

_SERVICES = ("ray", "mlflow")
_WATCH = "preemption-watch"

_PAGE = """Start, stop and look at the services of this machine: a Ray head and an MLflow server.

Usage: python -m opabinia.cluster VERB [SERVICE ...] [--FIELD VALUE ...]

  up [ray] [mlflow]    start what does not run yet, wait until it answers, print how to reach it
  down [ray] [mlflow]  end what `up` started, and nothing else
  status               how they are; exits with status 1 unless all run
  env                  shell lines that let `ray`, jobs and MLflow clients find them: eval "$(... env)"
  preemption-watch     on a machine of a Google Cloud cluster: drain its Ray node when the machine is to be taken away;
                       has a --help of its own

Fields, with their defaults (or --config FILE):
"""


@plain_errors()
def main(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit status."""
    if argv[:1] == [_WATCH]:
        from opabinia.cluster.preemption import main as watch

        return watch(argv[1:])
    words = list(takewhile(lambda word: not word.startswith("-"), argv))
    flags = argv[len(words) :]
    if not words or not {"--help", "-h"}.isdisjoint(flags):
        print(_page())
        return 0
    verb, *names = words
    if verb not in _VERBS:
        raise unknown("verb", verb, [*_VERBS, _WATCH])
    for name in names:
        if name not in _SERVICES:
            raise unknown("service", name, _SERVICES)
    config = parse_settings(LocalConfig, [*port_flags(os.environ), *flags])
    return _VERBS[verb](names or list(_SERVICES), config)


def _up(names: Sequence[str], config: LocalConfig) -> int:
    from opabinia.cluster.local import up

    exports: dict[str, str] = {}
    for ready in up(names, config):
        took = "already running" if ready.seconds is None else f"started in {ready.seconds:.1f} s"
        print(f"{ready.service.title:<7} {ready.record.url}  {took}", flush=True)
        exports |= ready.record.exports
    print("\nTo use them from a shell:\n\n" + _export_lines(exports))
    return 0


def _down(names: Sequence[str], config: LocalConfig) -> int:
    from opabinia.cluster.local import down

    ended = down(names, config)
    print("stopped " + " and ".join(service.title for service in ended) if ended else "nothing to stop")
    return 0


def _status(names: Sequence[str], config: LocalConfig) -> int:
    from opabinia.cluster.local import status

    found = [entry for entry in status(config) if entry.service.name in names]
    for entry in found:
        where = f"{entry.record.url}  pid {entry.record.started.pid}  " if entry.record else ""
        memory = f"{entry.memory_mb:.0f} MB" if entry.memory_mb else ""
        print(f"{entry.service.title:<7} {entry.state:<14} {where}{memory}".rstrip())
    return 0 if all(entry.state == "running" for entry in found) else 1


def _env(names: Sequence[str], config: LocalConfig) -> int:
    from opabinia.cluster.local import status

    records = [entry.record for entry in status(config) if entry.record and entry.service.name in names]
    if not records:
        raise ValueError("no service runs; start them with `python -m opabinia.cluster up`")
    print(_export_lines({name: value for record in records for name, value in record.exports.items()}))
    return 0


_VERBS = {"up": _up, "down": _down, "status": _status, "env": _env}


def _page() -> str:
    fields = LocalConfig.model_fields.items()
    width = max(len(name) for name, _ in fields)
    lines = [f"  --{name.replace('_', '-'):<{width}}  {field.description} [{field.default}]" for name, field in fields]
    return _PAGE + "\n".join(lines)


def _export_lines(exports: dict[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in exports.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
