#!/usr/bin/env python3
"""Puts a run of sootprint beside NVML's own counter and nvidia-smi, on this machine's boards.

    python3 -m venv /tmp/compare && /tmp/compare/bin/pip install nvidia-ml-py
    /tmp/compare/bin/python tests/hardware/compare.py target/release/sootprint [-- COMMAND]

Measured is `sleep`, or the command. The counter is read right before sootprint starts and right after it has ended, so
that it covers a few milliseconds more. The exit status is 1 when the two differ by more than the given part. nvidia-smi
is asked once a second, and what it says is a mean power: it is shown and not judged.
"""

import argparse
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pynvml


def main() -> int:
    arguments = parse()
    pynvml.nvmlInit()
    boards = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    if not boards:
        print("NVML lists no board", file=sys.stderr)
        return 1
    smi = start_nvidia_smi()
    with tempfile.TemporaryDirectory() as folder:
        before, began = counters(boards), time.monotonic()
        command = arguments.command or ["sleep", str(arguments.seconds)]
        subprocess.run([arguments.sootprint, "run", "--out", folder, "--", *command], check=True)
        after, lasted = counters(boards), time.monotonic() - began
        footprint = json.loads(pathlib.Path(folder, "footprint.json").read_text())
    powers = stop_nvidia_smi(smi, len(boards))
    print(f"driver {text(pynvml.nvmlSystemGetDriverVersion())}, {datetime.date.today()}, {lasted:.2f} s")
    worst = 0.0
    for index, board in enumerate(boards):
        uuid = text(pynvml.nvmlDeviceGetUUID(board))
        found = [it for it in footprint["components"] if it["id"] == uuid]
        counter = (after[index] - before[index]) / 1000
        if not found:
            print(f"{text(pynvml.nvmlDeviceGetName(board))} {uuid}: not in the footprint")
            worst = float("inf")
            continue
        ours = found[0]["energy_j"]
        difference = ours / counter - 1 if counter else float("inf")
        worst = max(worst, abs(difference))
        mean = "nvidia-smi is not there" if not powers else f"nvidia-smi {powers[index] * lasted:.1f} J"
        print(f"{text(pynvml.nvmlDeviceGetName(board))} {uuid}")
        print(f"  sootprint {ours:.1f} J ({found[0]['method']}), counter {counter:.1f} J, {mean}")
        print(f"  sootprint differs from the counter by {difference:+.2%}")
    return 0 if worst <= arguments.part else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sootprint", help="the binary")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("command", nargs="*", help="what is measured, after --")
    parser.add_argument("--part", type=float, default=0.01, help="the largest difference that passes")
    return parser.parse_args()


def counters(boards: list) -> list[int]:
    """Millijoules of each board."""
    return [pynvml.nvmlDeviceGetTotalEnergyConsumption(board) for board in boards]


def start_nvidia_smi() -> subprocess.Popen | None:
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=index,power.draw", "--format=csv,noheader,nounits", "--loop=1"]
    return subprocess.Popen(query, stdout=subprocess.PIPE, text=True)


def stop_nvidia_smi(smi: subprocess.Popen | None, boards: int) -> list[float]:
    """The mean watts of each board; none without nvidia-smi, or when it tells no power."""
    if smi is None:
        return []
    smi.terminate()
    lines = [line.split(",") for line in smi.communicate()[0].splitlines() if line.count(",") == 1]
    watts: list[list[float]] = [[] for _ in range(boards)]
    for index, power in lines:
        try:
            watts[int(index)].append(float(power))
        except (ValueError, IndexError):
            continue
    return [sum(each) / len(each) for each in watts] if all(watts) else []


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.exit(main())
