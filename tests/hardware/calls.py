#!/usr/bin/env python3
"""Times what NVML's calls take of the wall clock and of a processor, on the first board, and prints Markdown: `calls.py`.

Each call is made 50 times with a pause of 20 ms; told are the median and the 99th percentile.
"""

import statistics
import time

import pynvml

COUNT, PAUSE = 50, 0.02


def main() -> None:
    began = time.perf_counter()
    pynvml.nvmlInit()
    print(f"nvmlInit took {(time.perf_counter() - began) * 1e3:.1f} ms.\n")
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    calls = {
        "energy counter": lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(board),
        "power, averaged": lambda: pynvml.nvmlDeviceGetPowerUsage(board),
        "power of the moment": lambda: pynvml.nvmlDeviceGetFieldValues(board, [pynvml.NVML_FI_DEV_POWER_INSTANT]),
        "energy counter, as a field": lambda: pynvml.nvmlDeviceGetFieldValues(
            board, [pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION]
        ),
        "both in one call": lambda: pynvml.nvmlDeviceGetFieldValues(
            board, [pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, pynvml.NVML_FI_DEV_POWER_INSTANT]
        ),
        "processes": lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(board),
    }
    print("| call | wall clock: p50, p99 | processor: p50, p99 |")
    print("|---|---|---|")
    for name, call in calls.items():
        walls, processors = [], []
        for _ in range(COUNT):
            time.sleep(PAUSE)
            wall, processor = time.perf_counter(), time.thread_time()
            call()
            processors.append(time.thread_time() - processor)
            walls.append(time.perf_counter() - wall)
        print(f"| {name} | {both(walls)} | {both(processors)} |", flush=True)


def both(seconds: list[float]) -> str:
    half, high = statistics.median(seconds), sorted(seconds)[-(-len(seconds) * 99 // 100) - 1]
    return f"{half * 1e3:.3f} ms, {high * 1e3:.3f} ms"


if __name__ == "__main__":
    main()
