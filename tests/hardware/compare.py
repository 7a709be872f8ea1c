#!/usr/bin/env python3
"""Compares a run of sootprint with NVML's energy counter and nvidia-smi, on this machine's GPUs.

    python3 -m venv /tmp/compare && /tmp/compare/bin/pip install nvidia-ml-py
    /tmp/compare/bin/python tests/hardware/compare.py target/release/sootprint [-- COMMAND]

Measures `sleep` or COMMAND. The counter is read immediately before sootprint starts and after it has ended, so it
covers a few milliseconds more. The exit status is 1 if the relative difference exceeds `--part`. nvidia-smi is polled
once a second and reports a mean power, so its value is only shown.
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
    gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    if not gpus:
        print("NVML lists no GPU", file=sys.stderr)
        return 1
    smi = start_nvidia_smi()
    with tempfile.TemporaryDirectory() as folder:
        before, began = counters(gpus), time.monotonic()
        command = arguments.command or ["sleep", str(arguments.seconds)]
        subprocess.run([arguments.sootprint, "run", "--out", folder, "--", *command], check=True)
        after, lasted = counters(gpus), time.monotonic() - began
        footprint = json.loads(pathlib.Path(folder, "footprint.json").read_text())
    powers = stop_nvidia_smi(smi, len(gpus))
    print(f"driver {text(pynvml.nvmlSystemGetDriverVersion())}, {datetime.date.today()}, {lasted:.2f} s")
    worst = 0.0
    for index, gpu in enumerate(gpus):
        uuid = text(pynvml.nvmlDeviceGetUUID(gpu))
        found = [it for it in footprint["components"] if it["id"] == uuid]
        counter = (after[index] - before[index]) / 1000
        if not found:
            print(f"{text(pynvml.nvmlDeviceGetName(gpu))} {uuid}: not in the footprint")
            worst = float("inf")
            continue
        ours = found[0]["energy_j"]
        difference = ours / counter - 1 if counter else float("inf")
        worst = max(worst, abs(difference))
        mean = "nvidia-smi not found or without power" if not powers else f"nvidia-smi {powers[index] * lasted:.1f} J"
        print(f"{text(pynvml.nvmlDeviceGetName(gpu))} {uuid}")
        print(f"  sootprint {ours:.1f} J ({found[0]['method']}), counter {counter:.1f} J, {mean}")
        print(f"  sootprint differs from the counter by {difference:+.2%}")
    return 0 if worst <= arguments.part else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sootprint", help="the binary")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("command", nargs="*", help="the command to measure, after --")
    parser.add_argument("--part", type=float, default=0.01, help="the largest relative difference that passes")
    return parser.parse_args()


def counters(gpus: list) -> list[int]:
    """Millijoules of each GPU."""
    return [pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) for gpu in gpus]


def start_nvidia_smi() -> subprocess.Popen | None:
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=index,power.draw", "--format=csv,noheader,nounits", "--loop=1"]
    return subprocess.Popen(query, stdout=subprocess.PIPE, text=True)


def stop_nvidia_smi(smi: subprocess.Popen | None, gpus: int) -> list[float]:
    """The mean watts of each GPU; empty without nvidia-smi or if it reports no power."""
    if smi is None:
        return []
    smi.terminate()
    lines = [line.split(",") for line in smi.communicate()[0].splitlines() if line.count(",") == 1]
    watts: list[list[float]] = [[] for _ in range(gpus)]
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
