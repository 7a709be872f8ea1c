"""Compares the merged footprint of a job of `ranks` with the truth, worked out from the files of its witnesses.

check.py DIR REPORT.json NAME ATTEMPTS KILLED: prints a row of a table; the exit status is 1 when it is not the truth.
KILLED is how many processes were killed: each may lack two seconds.
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
attempts, killed = int(attempts), int(killed)
footprint = json.load(open(report))
known = list(lives(folder))
gpu = sum(board_watts(rank) * (end - start) for rank, start, end in known)
cpu = CPU_WATTS * union([(start, end) for _, start, end in known])
edges = 2 * EDGE * len(known)
slack_gpu = board_watts(3) * (edges + 2.0 * killed)
slack_cpu = CPU_WATTS * (2 * EDGE * attempts + 2.0 * (killed > 0))
run, energy = footprint["run"], footprint["energy"]
faults = []
if not gpu - slack_gpu <= energy["gpu_j"] <= gpu + board_watts(3) * edges:
    faults.append("GPU")
if not cpu - slack_cpu <= energy["cpu_j"] <= cpu + CPU_WATTS * 2 * EDGE * attempts:
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
