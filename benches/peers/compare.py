#!/usr/bin/env python3
"""Compares sootprint with other tools on scripted GPUs with known true energy, and prints Markdown.

    compare.py --library LIBNVIDIA_ML --sootprint TOOL --python PYTHON

LIBNVIDIA_ML is the fake library built by cargo, TOOL the benchmark `tool`, PYTHON an interpreter with the tools of
requirements.txt. `benches/run` sets all three.

Each tool measures in its own process, with its own copy of the library and the same power trace. The true energy is the
integral of the trace from the return of the tool's start to the call of its stop, where a training would run. It is
computed here, independently of the library and of sootprint.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROUND, STEP = 1.03, 0.7  # 100 W for 0.7 s, then 400 W for 0.33 s, repeated.
LOW, HIGH = 100.0, 400.0
LEAD = 10.0  # The script starts this long before the tool.
EVENT = LEAD + 9.0  # After the slowest start and before the end of the shortest window.
LETTERS = "abcd"
TOOLS = {
    "sootprint": "sootprint",
    "codecarbon": "CodeCarbon, its default of 15 s",
    "codecarbon-1s": "CodeCarbon, every 1 s",
    "zeus": "Zeus",
    "carbontracker": "carbontracker",
}

# The cases: title, window, GPUs (multiple of the trace, and script statements), CUDA_VISIBLE_DEVICES, the GPUs that
# count and the script time until which each counts.
# A current GPU has a counter, and reports both the mean power of the last second and the instantaneous power.
def counter(more: str = "", tick: str = "20ms") -> list[str]:
    return [f"counter {{i}} tick {tick}{more}", "average {i} 1s", "instant {i} yes"]


CASES = [
    ("two GPUs with a counter, tick of 20 ms, 10 s", 10, [(1, counter()), (2, counter())], None, {0: None, 1: None}),
    (
        "two GPUs with a counter, tick of 100 ms, 10 s",
        10,
        [(1, counter(tick="100ms")), (2, counter(tick="100ms"))],
        None,
        {0: None, 1: None},
    ),
    (
        "two GPUs with a counter, tick of 100 ms, each query takes 5 ms, 10 s",
        10,
        [(1, counter(tick="100ms") + ["slow {i} 5ms"]), (2, counter(tick="100ms") + ["slow {i} 5ms"])],
        None,
        {0: None, 1: None},
    ),
    ("a window of 0.15 s, tick of 100 ms", 0.15, [(1, counter(tick="100ms"))], None, {0: None}),
    ("two GPUs without a counter, instantaneous power, 10 s", 10, [(1, ["instant {i} yes"]), (2, ["instant {i} yes"])], None, {0: None, 1: None}),
    ("two GPUs without a counter, power averaged over 1 s, 10 s", 10, [(1, ["average {i} 1s"]), (2, ["average {i} 1s"])], None, {0: None, 1: None}),
    ("the second of two GPUs, by its UUID, 10 s", 10, [(1, counter()), (2, counter())], "GPU-bbbbbbbb-0000-0000-0000-000000000000", {1: None}),
    ("no GPU is visible, 10 s", 10, [(1, counter()), (2, counter())], "", {}),
    ("one of two GPUs is lost midway, 14 s", 14, [(1, counter() + [f"lost {{i}} {EVENT}s"]), (2, counter())], None, {0: EVENT, 1: None}),
    ("the counter restarts midway, 14 s", 14, [(1, counter(" start 5000J") + [f"reset {{i}} {EVENT}s"])], None, {0: None}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--sootprint", type=pathlib.Path, required=True)
    parser.add_argument("--python", type=pathlib.Path, required=True)
    parser.add_argument("--repeats", type=int, default=5, help="processes per tool for the cost")
    arguments = parser.parse_args()
    # The tools run in other folders. Symbolic links are kept: the interpreter of a virtual environment needs its own path.
    for path in ("library", "sootprint", "python"):
        setattr(arguments, path, getattr(arguments, path).absolute())
    print("### Accuracy\n")
    print_accuracy(arguments)
    print("\n### After SIGKILL, 6 s into a run\n")
    print_killed(arguments)
    print("\n### Cost\n")
    print_cost(arguments)


def print_accuracy(arguments: argparse.Namespace) -> None:
    row("what", *TOOLS.values())
    row(*["---"] * (1 + len(TOOLS)))
    for case in CASES:
        workers = []
        for tool in TOOLS:
            # One after the other, so that no tool starts while another measures its start.
            workers.append(Worker(arguments, tool, ["window", str(case[1])], case))
            workers[-1].wait_for_start()
        row(case[0], *[worker.error() for worker in workers])


def print_killed(arguments: argparse.Namespace) -> None:
    row("tool", "remaining")
    row("---", "---")
    for tool, title in TOOLS.items():
        worker = Worker(arguments, tool, ["window", "60"], CASES[0])
        worker.wait_for_start()
        began = time.time()
        time.sleep(6)
        worker.process.kill()
        ended = time.time()
        worker.end()
        row(title, worker.left(arguments, began, ended))


def print_cost(arguments: argparse.Namespace) -> None:
    tools = {tool: title for tool, title in TOOLS.items() if tool != "codecarbon-1s"}
    windows = {
        tool: [Worker(arguments, tool, ["window", "5"], CASES[0]).found() for _ in range(arguments.repeats)]
        for tool in tools
    }
    boundaries = {tool: Worker(arguments, tool, ["edges", "400"], CASES[0]).found() for tool in tools}
    count = {tool: "10" if tool == "sootprint" else "50" for tool in tools}
    samples = {tool: Worker(arguments, tool, ["samples", count[tool]], CASES[0]).found() for tool in tools}

    def median(key: str, scale: float, unit: str):
        def cell(tool: str) -> str:
            found = [it[key] for it in windows[tool] if key in it]
            return f"{short(statistics.median(found) * scale)} {unit}" if found else "fails"

        return cell

    def both(found: dict, key: str):
        def cell(tool: str) -> str:
            times = sorted(found[tool].get(key, []))
            if not times:
                return "fails"
            half, high = times[len(times) // 2], times[-(-len(times) * 99 // 100) - 1]
            return f"{micro(half)}, {micro(high)}" if len(times) > 1 else micro(half)

        return cell

    def start(tool: str) -> str:
        found = [it["open_s"] + it["start_s"] for it in windows[tool] if "start_s" in it]
        return f"{short(statistics.median(found) * 1e3)} ms" if found else "fails"

    row("what", *tools.values())
    row(*["---"] * (1 + len(tools)))
    row("start, import included", *map(start, tools))
    row("finish", *map(median("stop_s", 1e3, "ms"), tools))
    row("epoch boundary: p50, p99", *map(both(boundaries, "edges_s"), tools))
    row("one sample: p50, p99", *map(both(samples, "samples_s"), tools))
    row("CPU time while idle, of one core", *map(median("busy", 100, "%"), tools))
    row("memory added to the process, at its peak", *map(median("memory", 1e-6, "MB"), tools))


def micro(seconds: float) -> str:
    return f"{short(seconds * 1e6)} µs" if seconds < 1e-3 else f"{short(seconds * 1e3)} ms"


def short(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


class Worker:
    """A tool that runs in its own process and folder."""

    def __init__(self, arguments: argparse.Namespace, tool: str, task: list[str], case: tuple):
        _, _, self.gpus, visible, self.counted = case
        self.tool = tool
        self.folder = tempfile.TemporaryDirectory()
        self.zero = time.time() - LEAD
        machine = pathlib.Path(self.folder.name, "machine")
        machine.mkdir()
        shutil.copy(arguments.library, machine / "libnvidia-ml.so.1")
        (machine / "script.nvml").write_text(script(self.gpus, self.zero))
        # CodeCarbon only looks for NVIDIA GPUs if a program with this name exists.
        (machine / "nvidia-smi").write_text("#!/bin/sh\n")
        (machine / "nvidia-smi").chmod(0o755)
        self.work = pathlib.Path(self.folder.name, "work")
        self.work.mkdir()
        tools = pathlib.Path(__file__).with_name("tools.py")
        command = [arguments.sootprint] if tool == "sootprint" else [arguments.python, tools, tool]
        dropped = ("SOOTPRINT", "CUDA_", "SCRIPTED_NVML", "CODECARBON")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        environment["LD_LIBRARY_PATH"] = str(machine)
        environment["PATH"] = f"{machine}:{environment['PATH']}"
        if visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible
        self.process = subprocess.Popen(
            [*map(str, command), *task],
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.failure = None

    def wait_for_start(self) -> None:
        """Waits until it measures or has failed; `found` then returns the failure."""
        for line in self.process.stdout:
            if line.strip() == "started":
                return
            if line.startswith("{"):
                self.failure = json.loads(line)
                return

    def found(self) -> dict:
        """The tool's result. Ends the processes that it has left running, because they keep its output open."""
        if self.failure:
            self.end()
            return self.failure
        for line in self.process.stdout:
            if line.startswith("{"):
                self.end()
                return json.loads(line)
        self.end()
        return {"error": f"exit status {self.process.returncode}"}

    def end(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def truth(self, began: float, ended: float) -> float:
        total = 0.0
        for gpu, until in self.counted.items():
            begin, end = began - self.zero, ended - self.zero
            end = end if until is None else min(end, until)
            total += self.gpus[gpu][0] * (energy_until(end) - energy_until(begin))
        return total

    def error(self) -> str:
        found = self.found()
        if "joules" not in found:
            return f"fails: {found['error'].split(':')[0]}"
        truth = self.truth(found["from"], found["to"])
        if truth == 0.0:
            return f"{found['joules']:.4g} J of 0 J"
        return f"{found['joules'] / truth - 1:+.2%}"

    def left(self, arguments: argparse.Namespace, began: float, ended: float) -> str:
        truth = self.truth(began, ended)
        if self.tool == "sootprint":
            output = subprocess.run([arguments.sootprint, "recover", self.work], capture_output=True, text=True)
            joules = json.loads(output.stdout.splitlines()[-1])["joules"]
            return f"{joules:.0f} J of {truth:.0f} J, by its ledger ({joules / truth:.1%})"
        files = [path for path in self.work.rglob("*") if path.is_file()]
        rows = [path.name for path in files if path.suffix == ".csv" and len(path.read_text().splitlines()) > 1]
        if rows:
            return f"rows in {', '.join(sorted(rows))}"
        names = ", ".join(sorted(f"`{path.suffix or path.name}`" for path in files)) or "no file"
        return f"no energy ({names})"


def script(gpus: list, zero: float) -> str:
    lines = [f"clock since {zero:.6f}s"]
    for index, (times, statements) in enumerate(gpus):
        uuid = f"GPU-{LETTERS[index] * 8}-0000-0000-0000-000000000000"
        lines.append(f'board {index} uuid {uuid} pci 0000:{7 + index:02x}:00.0 name "NVIDIA H200" limit {700 * times}W')
        lines.append(f"power {index} 0s {LOW * times:.0f}W")
        lines.append(f"power {index} {STEP}s {HIGH * times:.0f}W")
        lines.append(f"repeat {index} {ROUND}s")
        lines += [statement.format(i=index) for statement in statements]
    return "\n".join(lines) + "\n"


def energy_until(at: float) -> float:
    """Joules of a GPU that draws the trace once, from the script's zero on."""
    rounds, rest = divmod(at, ROUND)
    whole = LOW * STEP + HIGH * (ROUND - STEP)
    return rounds * whole + LOW * min(rest, STEP) + HIGH * max(rest - STEP, 0.0)


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
