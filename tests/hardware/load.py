#!/usr/bin/env python3
"""Loads the first GPU with matrix products through PyTorch: `load.py --seconds 60 --busy 0.33 --rest 0.7`.

Without `--rest`, the load is constant. A line `working` marks its start.
"""

import argparse
import time

import torch

SIZE = 8192
PRODUCTS = 4  # Between two reads of the clock: 6 ms on an H100.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the load")
    parser.add_argument("--busy", type=float, default=1.0, help="seconds of load per cycle")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds of rest per cycle")
    arguments = parser.parse_args()
    left = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)
    right = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)
    work(left, right, 0.5)
    print("working", flush=True)
    ends = time.monotonic() + arguments.seconds
    while time.monotonic() < ends:
        work(left, right, arguments.busy)
        time.sleep(arguments.rest)


def work(left: torch.Tensor, right: torch.Tensor, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for _ in range(PRODUCTS):
            torch.mm(left, right)
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
