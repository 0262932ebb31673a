"""The services of this machine together: start, stop and look at them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opabinia.cluster.config import LocalConfig
from opabinia.cluster.launch import Service, require_free_ports, start, wait_until_answering
from opabinia.cluster.mlflow_server import MLFLOW
from opabinia.cluster.processes import end, family, memory_mb
from opabinia.cluster.ray_head import RAY
from opabinia.cluster.records import Record, drop_record, read_record, sole_use

SERVICES: dict[str, Service] = {service.name: service for service in (RAY, MLFLOW)}


@dataclass(frozen=True, slots=True)
class Up:
    """A service that answers; `seconds` is how long its start took, None if it ran already."""

    service: Service
    record: Record
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """How a service is: "running", "not answering", "dead" (it ended by itself) or "stopped"."""

    service: Service
    state: str
    record: Record | None
    memory_mb: float


def up(names: Sequence[str], config: LocalConfig) -> list[Up]:
    """Start the named services that do not run, and return when all of them answer.

    Raises ValueError, one line, if a port is taken, a running service has another port than the one asked for, or a
    service does not start.
    """
    services = [SERVICES[name] for name in names]
    with sole_use(config.state_folder):
        began = time.monotonic()
        running = {service.name: _running(service, config) for service in services}
        for service in services:
            if running[service.name] is None:
                require_free_ports(service, config)
        records = {service.name: running[service.name] or start(service, config) for service in services}
        ups: list[Up] = []
        for service in services:
            wait_until_answering(service, records[service.name], config)
            seconds = None if running[service.name] else time.monotonic() - began
            ups.append(Up(service, records[service.name], seconds))
        return ups


def down(names: Sequence[str], config: LocalConfig) -> list[Service]:
    """End the named services, as far as we started them, with everything that they started; returns those ended.

    Raises ValueError, one line, if a process survives.
    """
    with sole_use(config.state_folder):
        known = {name: read_record(config.state_folder, name) for name in names}
        running = {name: record for name, record in known.items() if record is not None}
        _end(running, config)
        return [SERVICES[name] for name in running]


def status(config: LocalConfig) -> list[Status]:
    """Return how every service is."""
    return [_status(service, read_record(config.state_folder, service.name)) for service in SERVICES.values()]


def _running(service: Service, config: LocalConfig) -> Record | None:
    """Return the record of a service that runs; sweep up after one that ended by itself."""
    record = read_record(config.state_folder, service.name)
    if record is None:
        return None
    if record.started.find() is None:
        _end({service.name: record}, config)
        return None
    for field, port in record.ports.items():
        wanted = getattr(config, field)
        if field in config.model_fields_set and wanted != port:
            raise ValueError(f"{service.title} already runs with port {port}; run `make stop` before choosing {wanted}")
    return record


def _end(records: Mapping[str, Record], config: LocalConfig) -> None:
    processes = [process for record in records.values() for process in family(record.started)]
    survivors = end(processes) + [process for record in records.values() for process in family(record.started)]
    if survivors:
        pids = ", ".join(str(process.pid) for process in survivors)
        raise ValueError(f"could not end process {pids}; run the command again")
    for name, record in records.items():
        if record.scratch:
            _keep_logs(Path(record.scratch), config.state_folder / f"{name}-logs")
            shutil.rmtree(record.scratch, ignore_errors=True)
        drop_record(config.state_folder, name)


def _keep_logs(scratch: Path, kept: Path) -> None:
    """Keep the logs of the last session: they say why a job failed."""
    session = scratch / "session_latest"
    if (session / "logs").is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move((session / "logs").resolve(), kept)


def _status(service: Service, record: Record | None) -> Status:
    if record is None:
        return Status(service, "stopped", None, 0.0)
    memory = memory_mb(family(record.started))
    if record.started.find() is None:
        return Status(service, "dead", record, memory)
    return Status(service, "running" if service.answers(record) else "not answering", record, memory)
