"""Installs the version of Hugging Face's Python client used by the checks into its own virtual environment."""

import os
import subprocess
import sys
import venv
from pathlib import Path

VERSION = "2.4.0"
ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def run_with_client(script):
    """Restarts the script in the environment with the client and exits with its status; returns if already in it."""
    environment = TARGET / f"huggingface_hub-{VERSION}"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if Path(sys.prefix) != environment:
        if not (environment / "ready").exists():
            venv.create(environment, clear=True, with_pip=True)
            requirement = f"huggingface_hub=={VERSION}"
            subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
            (environment / "ready").touch()
        sys.exit(subprocess.run([python, script]).returncode)
