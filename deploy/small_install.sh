#!/bin/sh
# small_install.sh WHEEL DIR: a virtual environment that labels and serves with an exported model, without torch and MLflow.
# What nothing here reads is removed from it: tests, headers and sources of libraries, and pip itself.
set -eu
wheel=$1
venv=$2
here=$(cd "$(dirname "$0")" && pwd)

python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-cache-dir -r "$here/requirements-label.txt"
"$venv/bin/python" -m pip install --quiet --no-cache-dir --no-deps "$wheel"

for packages in "$venv"/lib/python3*/site-packages; do
    cd "$packages"
    find . -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
    find . -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.pyx' -o -name '*.pxd' \) -delete
    rm -rf pyarrow/libarrow_flight* pyarrow/_flight* pyarrow/libarrow_s3* pyarrow/_s3fs* pyarrow/src zstandard/_cffi*
    rm -rf onnxruntime/transformers onnxruntime/tools onnxruntime/quantization
    rm -rf pip pip-* setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth
done
