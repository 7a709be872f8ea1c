#!/usr/bin/env python3
"""Measures the wall-clock and CPU time of NVML's calls on the first GPU and prints Markdown: `calls.py`.

Each call is made 50 times with a pause of 20 ms; the table has the median and the 99th percentile.
"""

import statistics
import time

import pynvml

COUNT, PAUSE = 50, 0.02


def main() -> None:
    began = time.perf_counter()
    pynvml.nvmlInit()
    print(f"nvmlInit took {(time.perf_counter() - began) * 1e3:.1f} ms.\n")
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    calls = {
        "energy counter": lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu),
        "power, averaged": lambda: pynvml.nvmlDeviceGetPowerUsage(gpu),
        "instantaneous power": lambda: pynvml.nvmlDeviceGetFieldValues(gpu, [pynvml.NVML_FI_DEV_POWER_INSTANT]),
        "energy counter, as a field": lambda: pynvml.nvmlDeviceGetFieldValues(
            gpu, [pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION]
        ),
        "both in one call": lambda: pynvml.nvmlDeviceGetFieldValues(
            gpu, [pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, pynvml.NVML_FI_DEV_POWER_INSTANT]
        ),
        "processes": lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(gpu),
    }
    print("| call | wall clock: p50, p99 | CPU: p50, p99 |")
    print("|---|---|---|")
    for name, call in calls.items():
        walls, cpus = [], []
        for _ in range(COUNT):
            time.sleep(PAUSE)
            wall, cpu = time.perf_counter(), time.thread_time()
            call()
            cpus.append(time.thread_time() - cpu)
            walls.append(time.perf_counter() - wall)
        print(f"| {name} | {both(walls)} | {both(cpus)} |", flush=True)


def both(seconds: list[float]) -> str:
    half, high = statistics.median(seconds), sorted(seconds)[-(-len(seconds) * 99 // 100) - 1]
    return f"{half * 1e3:.3f} ms, {high * 1e3:.3f} ms"


if __name__ == "__main__":
    main()
