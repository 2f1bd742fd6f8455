"""The Python that the tests run in: that of the cache's venv, which has confluent-kafka."""
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def enter_venv():
    """Install what is missing, and start the program again, in the venv's Python, when it does not run there yet."""
    subprocess.run([HERE / "setup.sh"], check=True)
    cache = Path(os.environ.get("MILLRACE_INTEROP_CACHE", Path.home() / ".cache/millrace/interop"))
    python = cache / "venv/bin/python3"
    if Path(sys.prefix) != cache / "venv":
        os.execv(python, [str(python), *sys.argv])
