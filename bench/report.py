# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown (ratios first), JSON and plots."""
import json
import os
import platform
import shutil
import subprocess


def number(v):
    if v is None:
        return "-"
    if isinstance(v, str):
        return v
    if abs(v) >= 1000:
        return "{:,.0f}".format(v)
    return "%.0f" % v if abs(v) >= 100 else "%.2f" % v


def machine():
    model = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"kernel": platform.release(), "cpu": model, "cpus": os.cpu_count(), "load": "%.2f %.2f %.2f" % os.getloadavg()}


def aims_table(results):
    lines = ["| question | aim | figure | | reason |", "|---|---|---|---|---|"]
    for r in results:
        for a in r.get("aims", []):
            sign = ">=" if a["at_least"] else "<="
            state = {True: "met", False: "**missed**", None: "not measured"}[a["met"]]
            lines.append("| %s | %s %s %s | %s | %s | %s |" % (a["what"], sign, number(a["limit"]), a["unit"],
                                                               number(a["figure"]), state, a["reason"]))
    return lines


def cost_table(rows):
    lines = ["| subject | x floor | ns per call | CPU ns per call | rounds, ns from..to | note |", "|---|---|---|---|---|---|"]
    for r in rows:
        if "cannot" in r:
            lines.append("| %s | cannot | - | - | - | %s |" % (r["subject"], r["cannot"]))
        else:
            lines.append("| %s | %s | %s | %s | %d, %s..%s | %s |" % (
                r["subject"], number(r["ratio"]), number(r["ns"]), number(r["cpu_ns"]), r["rounds"],
                number(r["least_ns"]), number(r["most_ns"]), r["note"]))
    return lines


def plain_table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for r in rows:
        lines.append("| " + " | ".join(number(v) for v in r) + " |")
    return lines


def markdown(results, info):
    lines = ["# plumb beside its peers", "",
             "%(cpu)s, %(cpus)s CPUs, Linux %(kernel)s; load before the run: %(load)s." % info, "",
             "ns per call are what the probe adds to a call: the median of short batches, then the median of the rounds; "
             "\"x floor\" is the median of the rounds' ratios to an empty BPF program on the same instruction, measured just before. "
             "CPU ns is the calling thread's own time, which leaves out what a tracer does while the thread is stopped.", "",
             "## Aims", ""] + aims_table(results)
    for r in results:
        lines += ["", "## " + r["title"], ""]
        if "rows" in r:
            lines += cost_table(r["rows"])
        for t in r.get("tables", []):
            lines += ["", *([t["title"], ""] if t.get("title") else [])] + plain_table(t["columns"], t["rows"])
        for note in r.get("notes", []):
            lines += ["", note]
        for p in r.get("plots", []):
            lines += ["", "![%s](%s)" % (p["title"], p["name"] + ".png")]
    return "\n".join(lines) + "\n"


def quoted(text):
    """A string of gnuplot."""
    return "'%s'" % text.replace("'", "''")


def plot(directory, p):
    """p: name, title, x, y, logx, logy, series: [(label, [(x, y), ...])]."""
    data = os.path.join(directory, p["name"] + ".dat")
    with open(data, "w") as f:
        for label, points in p["series"]:
            f.write('"%s"\n' % label)
            for x, y in points:
                f.write("%g %g\n" % (x, y))
            f.write("\n\n")
    script = ["set terminal pngcairo size 1000,600 noenhanced", "set output " + quoted(os.path.join(directory, p["name"]) + ".png"),
              "set title " + quoted(p["title"]), "set xlabel " + quoted(p["x"]), "set ylabel " + quoted(p["y"]), "set grid",
              "set key left top", "set yrange [0:*]" if not p.get("logy") else "set logscale y"]
    if p.get("logx"):
        script.append("set logscale x")
    script.append("plot " + ", ".join("%s index %d using 1:2 with linespoints lw 2 title columnheader(1)" % (quoted(data), i)
                                      for i in range(len(p["series"]))))
    subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)


def write(directory, name, results, info):
    """All results so far; the plots of the last one."""
    with open(os.path.join(directory, name + ".json"), "w") as f:
        json.dump({"machine": info, "questions": results}, f, indent=1)
        f.write("\n")
    text = markdown(results, info)
    with open(os.path.join(directory, name + ".md"), "w") as f:
        f.write(text)
    if shutil.which("gnuplot"):
        for p in results[-1].get("plots", []):
            plot(directory, p)
    return text
