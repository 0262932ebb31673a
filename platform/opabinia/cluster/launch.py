"""Starting a service and waiting until it answers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from opabinia.cluster.config import PORT_VARIABLES, LocalConfig
from opabinia.cluster.ports import holder, is_free
from opabinia.cluster.processes import MARK_VARIABLE, Started
from opabinia.cluster.records import Record, write_record

_START_S = 180.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a service, and what its record will say."""

    command: tuple[str, ...]
    environment: dict[str, str]
    url: str
    exports: dict[str, str]
    scratch: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of service: its name, how it is started, and how to tell that it answers."""

    name: str
    title: str
    port_fields: tuple[str, ...]
    """Fields of `LocalConfig` that hold its ports."""
    plan: Callable[[LocalConfig, Mapping[str, str]], Launch]
    answers: Callable[[Record], bool]


def require_free_ports(service: Service, config: LocalConfig) -> None:
    """Raise ValueError, one line, if another process listens on a port that a service needs."""
    for field in service.port_fields:
        port = getattr(config, field)
        if is_free(port):
            continue
        flag = f"--{field.replace('_', '-')}"
        ways = f"stop it, or choose another with {PORT_VARIABLES[field]}=NUMBER or {flag} NUMBER"
        raise ValueError(f"port {port} ({service.title}) is taken by {holder(port) or 'another process'}; {ways}")


def start(service: Service, config: LocalConfig) -> Record:
    """Start a service and write it down; it does not answer yet."""
    launch = service.plan(config, os.environ)
    mark = uuid4().hex
    with log_file(config, service).open("wb") as log:
        process = subprocess.Popen(
            launch.command,
            env={**launch.environment, MARK_VARIABLE: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal is meant for the command that waits, not for the services.
            start_new_session=True,
        )
    started = Started(process.pid, psutil.Process(process.pid).create_time(), mark)
    ports = {field: getattr(config, field) for field in service.port_fields}
    record = Record(started=started, url=launch.url, ports=ports, exports=launch.exports, scratch=launch.scratch)
    write_record(config.state_folder, service.name, record)
    return record


def wait_until_answering(service: Service, record: Record, config: LocalConfig) -> None:
    """Return as soon as a service answers; raises ValueError, one line, if it ends first or takes too long."""
    deadline = time.monotonic() + _START_S
    log = log_file(config, service)
    while not service.answers(record):
        if record.started.find() is None:
            raise ValueError(f"{service.title} did not start: {_last_line(log)} (log: {log})")
        if time.monotonic() > deadline:
            running = f"{service.title} (pid {record.started.pid}) runs but does not answer at {record.url}"
            raise ValueError(f"{running}; `make stop` ends it (log: {log})")
        time.sleep(_POLL_S)


def log_file(config: LocalConfig, service: Service) -> Path:
    """Return where a service writes what it has to say."""
    return config.state_folder / f"{service.name}.log"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it wrote nothing"
