"""Compares the merged footprint of a job of `ranks` with the truth, worked out from the files of its witnesses.

check.py DIR REPORT.json NAME ATTEMPTS KILLED: prints a row of a table; the exit status is 1 when it is not the truth.
KILLED is 1 when a rank was killed, and with it its fellows: each process of that attempt may lack two seconds.
"""

import glob
import json
import os
import sys

CPU_WATTS = 80.0
EDGE = 0.15  # Seconds between a process's first or last reading and its witness's.


def board_watts(rank):
    return 100.0 + 50.0 * rank


def lives(folder):
    for path in glob.glob(os.path.join(folder, "truth-*")):
        rank = int(os.path.basename(path).split("-")[1])
        start, end = map(float, open(path).read().rsplit("\n", 2)[-2].split())
        yield rank, start, end


def union(spans):
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


folder, report, name, attempts, killed = sys.argv[1:]
attempts, killed = int(attempts), killed == "1"
footprint = json.load(open(report))
known = list(lives(folder))
gpu = sum(board_watts(rank) * (end - start) for rank, start, end in known)
cpu = CPU_WATTS * union([(start, end) for _, start, end in known])
edges = sum(2 * EDGE * board_watts(rank) for rank, _, _ in known)
lost = 2.0 if killed else 0.0
cpu_edges = 2 * EDGE * CPU_WATTS * attempts
run, energy = footprint["run"], footprint["energy"]
faults = []
if not gpu - edges - lost * sum(map(board_watts, range(4))) <= energy["gpu_j"] <= gpu + edges:
    faults.append("GPU")
if not cpu - cpu_edges - lost * CPU_WATTS <= energy["cpu_j"] <= cpu + cpu_edges:
    faults.append("CPU")
if (run["attempts"], run["ranks"], run["missing_ranks"], run["outcome"]) != (attempts, 4, [], "completed"):
    faults.append(f"run {run}")
cpus = [it for it in footprint["components"] if it["kind"] == "cpu"]
if len(cpus) != 1:
    faults.append(f"{len(cpus)} processors")
again = sorted({it["epoch"] for it in footprint["epochs"] if it["attempt"] > 1}
               & {it["epoch"] for it in footprint["epochs"] if it["attempt"] == 1})
print(f"| {name} | {len(known)} | {run['attempts']} | {gpu:.0f} | {energy['gpu_j']:.0f} | {cpu:.0f} | "
      f"{energy['cpu_j']:.0f} | {run['outcome']} | {again} | {'the truth' if not faults else faults} |")
sys.exit(bool(faults))
