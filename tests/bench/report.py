"""Results as text, Markdown, JSON and plots."""
import json
import os
import shutil
import statistics
import subprocess

COLUMNS = [("cpu_us", "CPU us", "{:.1f}"), ("rate", "per s", "{:.0f}"), ("p50_us", "p50 us", "{:.0f}"),
           ("p99_us", "p99 us", "{:.0f}"), ("l_p99_us", "light p99 us", "{:.0f}"),
           ("failed", "failed", "{:.0f}")]


def median(rows, metric):
    values = [row[metric] for row in rows if metric in row]
    return statistics.median(values) if values else None


def ratio_text(rows, base_rows, metric):
    values = [a[metric] / b[metric] for a, b in zip(rows, base_rows)
              if a.get(metric) is not None and b.get(metric)]
    if not values:
        return ""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    lines = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"
             for row in [header, *rows]]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def work_table(work):
    """Medians of each side, and its paired ratios to the base."""
    base_rows = work["rounds"].get(work["base"], [])
    columns = [column for column in COLUMNS
               if any(column[0] in row for rows in work["rounds"].values() for row in rows)]
    late = any("l_p99_us" in row for rows in work["rounds"].values() for row in rows)
    compared = ["l_p99_us"] if late else ["cpu_us", "rate"]
    header = ["side", *[title for _, title, _ in columns], *[f"{metric} ratio (min-max)" for metric in compared]]
    rows = []
    for side, found in work["rounds"].items():
        cells = [form.format(median(found, metric)) for metric, _, form in columns]
        rows.append([side, *cells, *[ratio_text(found, base_rows, metric) for metric in compared]])
    text = f"\n### {work['name']}: {work['title']}\n\n{table(header, rows)}\n"
    if work.get("before"):
        text += "\n" + "\n".join(before_line(work, *names) for names in work["before"].items()) + "\n"
    if work["targets"]:
        text += "\n" + "\n".join(target_line(target) for target in work["targets"]) + "\n"
    return text


def before_line(work, side, before):
    """What became of a side of ours since the earlier build."""
    metrics = ["l_p99_us"] if any("l_p99_us" in row for row in work["rounds"][side]) else ["cpu_us", "rate", "p50_us"]
    ratios = [f"{metric} {ratio_text(work['rounds'][side], work['rounds'][before], metric)}" for metric in metrics]
    return f"- {side} against the earlier build: {', '.join(ratios)}"


def target_line(target):
    value = target["value"]
    shown = f"{value[0]:.2f} ({value[1]:.2f}-{value[2]:.2f})" if value else "not measured"
    against = f" against {target['against']}" if target["against"] else ""
    mark = "reached" if target["reached"] else "MISSED"
    return (f"- {mark}: {target['side']}, {target['metric']}{against}: {shown},"
            f" must be {target['relation']} {target['limit']}")


def limits_table(rows):
    cells = [[row["what"], row["value"], row["limit"], "reached" if row["reached"] else "MISSED"]
             for row in rows]
    return "\n### limits\n\n" + table(["what", "measured", "must be", ""], cells) + "\n"


def markdown(results):
    machine = results["machine"]
    text = (f"# Measured\n\n{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']},"
            f" {machine['libc']}, {machine['when']}; {results['rounds']} rounds, interleaved. CPU is that"
            " of all server-side processes, per answered connection or request. Medians; ratios are"
            " paired by round.\n")
    text += "".join(work_table(work) for work in results["works"])
    if results["limits"]:
        text += limits_table(results["limits"])
    return text


# What a plot shows: metric, its scale, its axis; the last word says what is better.
PLOTS = {"cpu_us": (1, "server-side CPU for each of them, microseconds (shorter is better)"),
         "rate": (1, "per second (longer is better)"),
         "l_p99_us": (1000, "99th percentile of the light requests, milliseconds (shorter is better)")}
OURS, OTHERS = 0xD9822B, 0x7F8C99

PLOT = """set terminal svg size 900,{height} font 'sans,13'
set output '{output}'
set title '{title}' noenhanced
set style fill solid 0.75
set yrange [-0.7:{top}]
set xrange [0:*]
set xlabel '{label}'
set grid x
unset key
set ytics noenhanced
plot '{data}' using (0):0:(0):2:($0-0.35):($0+0.35):3:yticlabels(1) with boxxyerror lc rgb variable notitle
"""


def plot(work, metric, folder):
    scale, label = PLOTS[metric]
    rows = [(side, median(found, metric)) for side, found in work["rounds"].items()]
    rows = [(side, value / scale) for side, value in rows if value is not None][::-1]
    if not rows:
        return
    stem = os.path.join(folder, f"{work['name']}-{metric.replace('_us', '')}")
    with open(stem + ".dat", "w", encoding="utf-8") as file:
        file.writelines(f'"{side}" {value:.3f} {OURS if side.startswith("sshim") else OTHERS}\n'
                        for side, value in rows)
    name = os.path.basename(stem)
    script = PLOT.format(height=120 + 34 * len(rows), output=name + ".svg", title=work["title"],
                         top=len(rows) - 0.3, label=label, data=name + ".dat")
    subprocess.run(["gnuplot"], input=script, text=True, check=False, stderr=subprocess.DEVNULL,
                   cwd=folder)
    os.remove(stem + ".dat")


def plot_all(results, folder):
    for work in results["works"]:
        late = any("l_p99_us" in row for rows in work["rounds"].values() for row in rows)
        for metric in ["l_p99_us"] if late else ["cpu_us", "rate"]:
            plot(work, metric, folder)


def write_all(results, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    with open(os.path.join(folder, "results.md"), "w", encoding="utf-8") as file:
        file.write(markdown(results))
    if shutil.which("gnuplot"):
        plot_all(results, folder)
