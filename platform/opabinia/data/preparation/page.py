"""The report on a data set as one HTML page that needs no other file."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opabinia.data.preparation.charts import bar_chart, shape_map
from opabinia.data.preparation.report import Report, read_quarantine
from opabinia.data.preparation.tally import NO_RECORD, octave_bins
from opabinia.storage.atomic import whole_text

PAGE_NAME = "report.html"
_NUMBER = ' class="number"'

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --muted: #5b6670; --ground: #f5f6f7; --card: #fff; --line: #dde1e5;
  --bar: #2b6cb0; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --muted: #9aa5b0; --ground: #16191d; --card: #1f2429;
  --line: #343b43; --bar: #6aa9e9; --wrong: #ff9a91; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 24px; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 32px 0 12px; }
h3 { font-size: 14px; margin: 0 0 10px; font-weight: 600; }
.muted { color: var(--muted); overflow-wrap: anywhere; }
.cards { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; max-width: 100%; }
.figure { font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
.wrong { color: var(--wrong); }
.wide { overflow-x: auto; padding: 4px 0 4px 16px; width: fit-content; }
table { border-collapse: collapse; font-size: 14px; }
th { text-align: left; color: var(--muted); font-weight: 600; white-space: nowrap; }
th, td { padding: 6px 16px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { min-width: 140px; }
td.file { min-width: 280px; }
td.kind { white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { max-width: 100%; height: auto; display: block; font-size: 11px; }
svg text { fill: var(--ink); text-anchor: middle; }
svg text.muted { fill: var(--muted); }
svg text.end { text-anchor: end; }
.bar { fill: var(--bar); }
.axis, .square { stroke: var(--muted); }
.square { stroke-dasharray: 3 4; }
.frame { fill: none; stroke: var(--line); }
"""


def write_page(report: Report, folder: Path) -> None:
    """Write report.html into a folder that holds the quarantine; every text is escaped, and rejected lines are written one by one."""
    title = html.escape(f"Data: {report.data}")
    with whole_text(folder / PAGE_NAME) as page:
        page.write('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
        page.write('<meta name="viewport" content="width=device-width, initial-scale=1">\n')
        page.write(f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n")
        page.write(f'<div class="muted">{html.escape(_about(report))}</div>\n')
        for section in (_figures(report), _checks(report), _sources(report), _lengths(report), _pictures(report)):
            page.write(section)
        page.writelines(_rejected_lines(read_quarantine(folder)))
        page.write("</body>\n</html>\n")


def _about(report: Report) -> str:
    pictures = f"pictures in {report.images}" if report.images else "pictures not looked at"
    limits = ", ".join(f"{name} = {'none' if v is None else v}" for name, v in report.limits.model_dump().items())
    return f"{pictures}; limits: {limits}"


def _figures(report: Report) -> str:
    tally = report.tally
    share = report.rejected / report.records if report.records else 0.0
    figures = [
        ("records", f"{report.records:,}", ""),
        ("accepted", f"{report.accepted:,}", ""),
        (f"rejected ({share:.2%})", f"{report.rejected:,}", "wrong" if report.rejected else ""),
        ("sources", f"{len(tally.records.keys() - {NO_RECORD}):,}", ""),
        ("pictures shown", f"{tally.images.total():,}", ""),
        ("turns", f"{tally.turns.total():,}", ""),
        ("words", f"{tally.words.total():,}", ""),
    ]
    cards = "".join(
        f'<div class="card"><div class="figure {mark}">{figure}</div><div class="muted">{name}</div></div>'
        for name, figure, mark in figures
    )
    note = '<p class="muted">Pictures, turns and words are those of accepted records.</p>'
    return f'<h2>In all</h2>\n<div class="cards">{cards}</div>\n{note}\n'


def _checks(report: Report) -> str:
    if not report.rejected:
        return ""
    rows = [(kind, count, f"{count / report.rejected:.1%}") for kind, count in report.tally.kinds.most_common()]
    return "<h2>Rejected, by check</h2>\n" + _table(("check", "records", "of the rejected"), rows)


def _sources(report: Report) -> str:
    rows = [_source_row(report, name) for name in report.sources]
    heads = ("source", "records", "rejected", "pictures", "turns a record", "words a record")
    return "<h2>Sources</h2>\n" + _table(heads, rows)


def _source_row(report: Report, name: str) -> tuple[str | int, ...]:
    tally = report.tally
    accepted = tally.records[name] - tally.rejected[name]
    means = (f"{total[name] / accepted:.1f}" if accepted else "–" for total in (tally.turns, tally.words))
    return (name, tally.records[name], tally.rejected[name], tally.images[name], *means)


def _lengths(report: Report) -> str:
    tally = report.tally
    charts = (
        ("Words of a record", tally.word_octaves, "words"),
        ("Turns of a record", tally.turn_octaves, "turns"),
        ("Pictures of a record", tally.image_octaves, "pictures"),
    )
    cards = "".join(_chart(title, bar_chart(octave_bins(counts), unit)) for title, counts, unit in charts)
    return f'<h2>Lengths of accepted records</h2>\n<div class="cards">{cards}</div>\n'


def _pictures(report: Report) -> str:
    if report.images is None:
        return ""
    formats = _table(("format", "pictures"), report.tally.formats.most_common())
    shapes = _chart("Width and height (shade: logarithm of the count)", shape_map(report.tally.shape_bins()))
    return f'<h2>Pictures of accepted records</h2>\n<div class="cards">{shapes}<div>{formats}</div></div>\n'


def _chart(title: str, chart: str) -> str:
    return f'<div class="card"><h3>{title}</h3>{chart}</div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    head = "".join(f"<th{'' if place == 0 else _NUMBER}>{html.escape(text)}</th>" for place, text in enumerate(heads))
    body = "".join(f"<tr>{''.join(map(_cell, row, range(len(row))))}</tr>\n" for row in rows)
    return f'<div class="card wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n'


def _cell(value: str | int, place: int) -> str:
    text = f"{value:,}" if isinstance(value, int) else html.escape(value)
    return f"<td{_NUMBER if place else ''}>{text}</td>"


def _rejected_lines(lines: Iterable[dict[str, Any]]) -> Iterable[str]:
    yield "<h2>Every rejected line</h2>\n"
    empty = True
    for line in lines:
        if empty:
            heads = ("file", "line", "check", "reason")
            columns = "".join(f"<th{_NUMBER if head == 'line' else ''}>{head}</th>" for head in heads)
            yield f'<div class="card wide"><table><thead><tr>{columns}</tr></thead><tbody>\n'
            empty = False
        file, number, kind, reason = (html.escape(str(line[name])) for name in ("file", "line", "kind", "reason"))
        yield f'<tr><td class="file">{file}</td><td{_NUMBER}>{number}</td><td class="kind">{kind}</td><td>{reason}</td></tr>\n'
    yield '<p class="muted">none</p>\n' if empty else "</tbody></table></div>\n"
