"""Measures with another tool in its own process: `tools.py TOOL TASK NUMBER`.

Tasks: `window SECONDS` measures for that time; `edges COUNT` ends and starts that number of epochs; `samples COUNT`
takes that number of samples. The last line of the output is the result as JSON; a line `started` marks the start of the
measurement. Files go into the working directory. Other output of the tool is ignored.
"""

import json
import os
import resource
import sys
import time
import traceback

JOULES_PER_KWH = 3.6e6


class CodeCarbon:
    """Measures every 15 s, its default, or at another interval in seconds."""

    def __init__(self, every: int = 15):
        from codecarbon import OfflineEmissionsTracker

        self.tracker = OfflineEmissionsTracker(country_iso_code="FRA", measure_power_secs=every, log_level="error")

    def start(self):
        self.tracker.start()

    def stop(self) -> float:
        self.tracker.stop()
        return self.tracker.final_emissions_data.gpu_energy * JOULES_PER_KWH

    def start_epochs(self):
        self.tracker.start_task("epoch")

    def edge(self):
        self.tracker.stop_task("epoch")
        self.tracker.start_task("epoch")

    def sample(self):
        self.tracker._measure_power_and_energy()


class Zeus:
    """Does not synchronise with a framework, because this process has none."""

    def __init__(self):
        from zeus.monitor import ZeusMonitor

        self.monitor = ZeusMonitor(log_file="zeus.csv")

    def start(self):
        self.monitor.begin_window("run", sync_execution=False)

    def stop(self) -> float:
        return sum(self.monitor.end_window("run", sync_execution=False).gpu_energy.values())

    def start_epochs(self):
        self.start()

    def edge(self):
        self.stop()
        self.start()

    def sample(self):
        self.monitor.begin_window("sample", sync_execution=False)
        self.monitor.end_window("sample", sync_execution=False, cancel=True)


class Carbontracker:
    """Its energy includes a fixed PUE, which is divided out."""

    def __init__(self):
        from carbontracker.tracker import CarbonTracker

        self.tracker = CarbonTracker(
            epochs=10_000, epochs_before_pred=0, components="gpu", log_dir=".", verbose=0, ignore_errors=True
        )

    def start(self):
        self.tracker.epoch_start()

    def stop(self) -> float:
        from carbontracker import constants

        self.tracker.epoch_end()
        return float(self.tracker.tracker.total_energy_per_epoch().sum()) / constants.PUE_2023 * JOULES_PER_KWH

    def start_epochs(self):
        self.start()

    def edge(self):
        self.tracker.epoch_end()
        self.tracker.epoch_start()

    def sample(self):
        self.tracker.tracker._collect_measurements()


TOOLS = {
    "codecarbon": CodeCarbon,
    "codecarbon-1s": lambda: CodeCarbon(every=1),
    "zeus": Zeus,
    "carbontracker": Carbontracker,
}


def window(tool, seconds: float) -> dict:
    called = time.perf_counter()
    tool.start()
    started = time.time()
    start = time.perf_counter() - called
    print("started", flush=True)
    before, began = cpu_time(), time.perf_counter()
    time.sleep(seconds)
    busy, lasted = cpu_time() - before, time.perf_counter() - began
    ended, called = time.time(), time.perf_counter()
    joules = tool.stop()
    stop = time.perf_counter() - called
    return {"start_s": start, "stop_s": stop, "from": started, "to": ended, "joules": joules, "busy": busy / lasted}


def edges(tool, count: float) -> dict:
    tool.start_epochs()
    return {"edges_s": timed(tool.edge, int(count))}


def samples(tool, count: float) -> dict:
    tool.start()
    return {"samples_s": timed(tool.sample, int(count))}


def timed(call, count: int) -> list[float]:
    found = []
    for _ in range(count):
        time.sleep(0.0025)
        called = time.perf_counter()
        call()
        found.append(time.perf_counter() - called)
    return found


def cpu_time() -> float:
    """CPU seconds of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def resident(key: str) -> float:
    """Resident bytes: `VmRSS` is the current value, `VmHWM` the peak."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(key))
    return float(line.split()[1]) * 1024


def main() -> None:
    _, name, task, number = sys.argv
    try:
        memory, called = resident("VmRSS"), time.perf_counter()
        tool = TOOLS[name]()
        opened = time.perf_counter() - called
        found = {"window": window, "edges": edges, "samples": samples}[task](tool, float(number))
        found |= {"open_s": opened, "memory": resident("VmHWM") - memory}
    except BaseException as error:  # A tool that raises SystemExit has failed, too.
        traceback.print_exc()
        found = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(found), flush=True)
    # Does not wait for threads and processes that the tool has left running.
    os._exit(0)


if __name__ == "__main__":
    main()
