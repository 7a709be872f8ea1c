"""Compares the merged footprint of a job of `ranks` with the true energy, computed from the files of its witnesses.

check.py DIR REPORT.json NAME ATTEMPTS KILLED: prints a table row; the exit status is 1 if they differ.
KILLED is 1 if a rank was killed, which ends the other ranks too: each process of that attempt may lack a second.
"""

import glob
import json
import os
import sys

CPU_WATTS = 80.0
MARGIN = 0.15  # Seconds between a process's first or last reading and its witness's.


def gpu_watts(rank):
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
gpu = sum(gpu_watts(rank) * (end - start) for rank, start, end in known)
cpu = CPU_WATTS * union([(start, end) for _, start, end in known])
gpu_margin = sum(2 * MARGIN * gpu_watts(rank) for rank, _, _ in known)
lost = 1.0 if killed else 0.0
cpu_margin = 2 * MARGIN * CPU_WATTS * attempts
run, energy = footprint["run"], footprint["energy"]
faults = []
if not gpu - gpu_margin - lost * sum(map(gpu_watts, range(4))) <= energy["gpu_j"] <= gpu + gpu_margin:
    faults.append("GPU")
if not cpu - cpu_margin - lost * CPU_WATTS <= energy["cpu_j"] <= cpu + cpu_margin:
    faults.append("CPU")
if (run["attempts"], run["ranks"], run["missing_ranks"], run["outcome"]) != (attempts, 4, [], "completed"):
    faults.append(f"run {run}")
cpus = [it for it in footprint["components"] if it["kind"] == "cpu"]
if len(cpus) != 1:
    faults.append(f"{len(cpus)} CPUs")
again = sorted({it["epoch"] for it in footprint["epochs"] if it["attempt"] > 1}
               & {it["epoch"] for it in footprint["epochs"] if it["attempt"] == 1})
print(f"| {name} | {len(known)} | {run['attempts']} | {gpu:.0f} | {energy['gpu_j']:.0f} | {cpu:.0f} | "
      f"{energy['cpu_j']:.0f} | {run['outcome']} | {again} | {'pass' if not faults else faults} |")
sys.exit(bool(faults))
