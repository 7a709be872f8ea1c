#!/usr/bin/env python3
"""Compares sootprint and other tools with the GPU's energy counter, all under the same load, and prints Markdown.

    peers.py --tool TOOL --loader PYTHON

TOOL is the benchmark `tool` built by cargo, PYTHON an interpreter with PyTorch. The interpreter of this script needs the
tools of benches/peers/requirements.txt. The true energy of each tool is the counter's difference from the return of its
start to the call of its stop. The counter is read every 2 ms and interpolated linearly between ticks.
"""

import argparse
import bisect
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import pynvml

PEERS = pathlib.Path(__file__).resolve().parents[2] / "benches/peers"
sys.path.insert(0, str(PEERS))
from compare import TOOLS, row  # noqa: E402

# The name of the load, its seconds of load and rest per cycle, and the seconds that the tools measure.
LOADS = [
    ("constant load, 20 s", 1.0, 0.0, 20.0),
    ("0.33 s load, 0.7 s rest, 20 s", 0.33, 0.7, 20.0),
    ("0.33 s load, 0.7 s rest, 0.15 s measured", 0.33, 0.7, 0.15),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=pathlib.Path, required=True)
    parser.add_argument("--loader", type=pathlib.Path, default=pathlib.Path(sys.executable))
    arguments = parser.parse_args()
    pynvml.nvmlInit()
    row("load", *TOOLS.values())
    row(*["---"] * (1 + len(TOOLS)))
    for load in LOADS:
        print_row(arguments, load)


def print_row(arguments: argparse.Namespace, load: tuple) -> None:
    name, busy, rest, seconds = load
    script = pathlib.Path(__file__).with_name("load.py")
    command = [arguments.loader, script, "--seconds", "120", "--busy", str(busy), "--rest", str(rest)]
    loader = subprocess.Popen([str(it) for it in command], stdout=subprocess.PIPE, text=True)
    loader.stdout.readline()
    counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        found = [worker.communicate()[0] for worker in start_all(arguments, pathlib.Path(folder), seconds)]
    time.sleep(0.5)  # At least one tick after the last stop.
    counter.stop()
    loader.kill()
    loader.wait()
    row(name, *[difference(counter, output) for output in found])


def start_all(arguments: argparse.Namespace, folder: pathlib.Path, seconds: float) -> list[subprocess.Popen]:
    workers = []
    for tool in TOOLS:
        command = [str(arguments.tool.absolute())] if tool == "sootprint" else [sys.executable, str(PEERS / "tools.py"), tool]
        work = folder / tool
        work.mkdir()
        errors = open(work / "errors", "w")
        worker = subprocess.Popen(
            [*command, "window", str(seconds)], cwd=work, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        workers.append(worker)
    return workers


def difference(counter: "Counter", output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    found = json.loads(lines[-1]) if lines else {"error": "no output"}
    if "joules" not in found:
        return f"fails: {found['error'][:80]}"
    truth = counter.at(found["to"]) - counter.at(found["from"])
    return f"{found['joules']:.1f} J of {truth:.1f} J, {found['joules'] / truth - 1:+.2%}"


class Counter:
    """Records each tick of the first GPU's counter."""

    def __init__(self):
        self.gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        self.moments: list[float] = []
        self.joules: list[float] = []
        self.is_stopped = threading.Event()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        while len(self.moments) < 2:
            time.sleep(0.01)

    def read(self) -> None:
        while not self.is_stopped.wait(0.002):
            joules = pynvml.nvmlDeviceGetTotalEnergyConsumption(self.gpu) / 1000
            if not self.joules or joules > self.joules[-1]:
                self.moments.append(time.time())
                self.joules.append(joules)

    def stop(self) -> None:
        self.is_stopped.set()
        self.thread.join()

    def at(self, moment: float) -> float:
        after = min(max(bisect.bisect(self.moments, moment), 1), len(self.moments) - 1)
        earlier, later = self.moments[after - 1], self.moments[after]
        part = (moment - earlier) / (later - earlier)
        return self.joules[after - 1] + (self.joules[after] - self.joules[after - 1]) * part


if __name__ == "__main__":
    main()
