"""Resolve requirements.lock from pyproject.toml with uv, for Linux and macOS.

torch and what only its CUDA build needs are left out: `torch==2.13.0` is installed by pip first, so that the wheel
that fits the machine is found, and brings those packages itself.
"""

import subprocess
import sys
from pathlib import Path

TORCH_ONLY = """
torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc
nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse
nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
""".split()  # noqa: SIM905


def main() -> int:
    """Write requirements.lock; the exit code is uv's."""
    root = Path(__file__).resolve().parent.parent
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--all-extras"]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--quiet", "--output-file", "requirements.lock"]
    for name in TORCH_ONLY:
        command += ["--no-emit-package", name]
    return subprocess.run(command, cwd=root, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
