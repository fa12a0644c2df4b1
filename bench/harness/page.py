"""The same figures as one HTML file that needs nothing else: charts are drawn as SVG."""

import html
from math import ceil, floor, log10

from harness import table

COLOURS = {"floor": "#999999", "routed_io": "#b07aa1"}
OURS, RIVAL = "#2f6f9f", "#d98c3f"

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #666; --line: #ddd; --ground: #fff; --good: #2a7d3a; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --soft: #a0a0a0; --line: #444; --ground: #161616; --good: #6cc07e; --bad: #ff8a7a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
p.soft, figcaption { color: var(--soft); } figure { margin: 1rem 0; overflow-x: auto; } code { font-size: .9em; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; white-space: nowrap; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } svg { max-width: 100%; height: auto; } svg.wide { min-width: 38rem; } svg text { fill: var(--ink); font-size: 12px; }
svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); } .pass { color: var(--good); } .fail { color: var(--bad); font-weight: 600; }
"""


def colour(label):
    return COLOURS.get(label, OURS if label.startswith("routed") else RIVAL)


def bars(rows, key, unit, digits=1):
    """One bar a case, with its number."""
    known = [row for row in rows if row.get(key) is not None]
    most = max((row[key] for row in known), default=0) or 1
    height = 24 * len(known) + 4
    said = [f'<svg viewBox="0 0 640 {height}" role="img" width="640" height="{height}">']
    for place, row in enumerate(known):
        y, width = 24 * place + 2, 330 * row[key] / most
        said.append(
            f'<text x="160" y="{y + 14}" text-anchor="end">{html.escape(row["label"])}</text>'
            f'<rect x="168" y="{y}" width="{max(1, width):.1f}" height="18" rx="2" fill="{colour(row["label"])}"/>'
            f'<text x="{174 + width:.1f}" y="{y + 14}">{row[key]:,.{digits}f} {unit}</text>'
        )
    return "".join(said) + "</svg>"


def _spread(quantile):
    """Where a quantile stands: each nine has the same room."""
    nines = (0, 0.5, 0.9, 0.99, 0.999, 0.9999)
    for place in range(len(nines) - 1):
        if quantile <= nines[place + 1]:
            return place + (quantile - nines[place]) / (nines[place + 1] - nines[place])
    return len(nines) - 1


def _height(value, scale):
    """Logarithmic, from 0 at the bottom of the scale to 1 at its top."""
    low, high = scale
    return (log10(max(1, value)) - low) / (high - low)


def curves(rows):
    """Latency over quantiles: what the slow requests had to wait."""
    values = [value for row in rows for _, value in row["curve"] if value > 0]
    if not values:
        return ""
    scale = floor(log10(min(values))), max(ceil(log10(max(values))), floor(log10(min(values))) + 1)
    left, top, width, height = 70, 10, 520, 260
    said = ['<svg class="wide" viewBox="0 0 820 320" role="img" width="820" height="320">']
    for power in range(scale[0], scale[1] + 1):
        y = top + height * (1 - _height(10 ** power, scale))
        word = f"{10 ** power:,} µs" if power < 3 else f"{10 ** (power - 3):,} ms" if power < 6 else f"{10 ** (power - 6):,} s"
        said.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<text class="soft" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{word}</text>')
    for place, word in enumerate(("min", "50 %", "90 %", "99 %", "99.9 %", "99.99 %")):
        x = left + width * place / 5
        said.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + height}"/>'
                    f'<text class="soft" x="{x:.1f}" y="{top + height + 20}" text-anchor="middle">{word}</text>')
    for place, row in enumerate(rows):
        points = " ".join(f"{left + width * _spread(q) / 5:.1f},{top + height * (1 - _height(v, scale)):.1f}"
                          for q, v in row["curve"])
        dash = ("", "6 3", "2 3", "8 3 2 3")[place % 4]
        said.append(f'<polyline fill="none" stroke="{colour(row["label"])}" stroke-width="2" stroke-dasharray="{dash}" points="{points}"/>'
                    f'<line x1="610" x2="640" y1="{20 + 18 * place}" y2="{20 + 18 * place}" stroke="{colour(row["label"])}" '
                    f'stroke-width="2" stroke-dasharray="{dash}"/><text x="646" y="{24 + 18 * place}">{html.escape(row["label"])}</text>')
    return "".join(said) + "</svg>"


def figure(drawing, caption):
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def rows_table(kind, rows):
    headings, cells = table.cells(kind, rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in headings)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in cells)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def section(part, report):
    name, kind = part["name"], part["kind"]
    rows = [row for row in report["results"] + report["rest"] + report["startup"] if row["workload"] == name]
    if not rows:
        return ""
    said = [f"<h2>{html.escape(name)}</h2><p>{html.escape(part['title'])}</p>"]
    if kind == "idle":
        said.append(figure(bars(rows, "bytesPerConnection", "bytes", 0),
                           "memory of the processes for each connection that rests after a request of its own"))
        said.append(figure(bars(rows, "burstBytesPerConnection", "bytes", 0),
                           "the same after all of them have asked at once: buffers, and lines from the front to the engine, stay"))
    elif kind == "startup":
        said.append(figure(bars(rows, "startupMillis", "ms"), "from the start of the process to its first answer"))
    else:
        unit = html.escape(part["unit"])
        said.append(figure(bars(rows, "cpuMicrosPerRequest", "µs", 2),
                           f"CPU time of all server processes for each {unit}: shorter is better"))
        said.append(figure(bars(rows, "requestsPerSecond", "a second", 0),
                           f"{unit}s a second: longer is better, up to what the load on its one core can ask for"))
        said.append(figure(curves(rows), f"latency of a {unit}, both axes logarithmic: lower is better"))
    return "".join(said) + rows_table(kind, rows)


def whole(report):
    machine = report["machine"]
    gate = "".join(f'<li class="{"fail" if text.startswith("FAIL") else "pass"}">{html.escape(text)}</li>'
                   for text in report["gate"]["messages"])
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in report["notes"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>routed-bench</title>'
        f"<style>{STYLE}</style></head><body><h1>routed-bench</h1>"
        f"<p>{html.escape(report['date'])}, {html.escape(machine['processor'])}, {machine['cores']} cores, "
        f"kernel {html.escape(machine['kernel'])}<br><code>{html.escape(report['command'])}</code></p>"
        '<p class="soft">Servers have one core, the load another. Figures of two runs do not compare; those of one '
        "run do. What the figures do not say is in docs/benchmark.md.</p>"
        + (f"<ul>{gate}</ul>" if gate else "")
        + (f"<p>Notes</p><ul>{notes}</ul>" if notes else "")
        + "".join(section(part, report) for part in report["workloads"])
        + "</body></html>\n"
    )
