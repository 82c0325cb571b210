#!/usr/bin/env bash
# What needs a GPU of NVIDIA, in about ten minutes: four streams on one model with batches on CUDA, and a float tensor of
# torch that goes up from pinned memory. Needs the driver, CUDA 12 and cuDNN 9, ffmpeg, Node 24 and Python with venv.
# `TORCH_VENV` names an environment with torch for CUDA; one is made where it is not set. Results go to the folder that is
# named, bench/results/gpu unless told.
set -euo pipefail
cd "$(dirname "$0")/.."
results=$(realpath -m "${1:-bench/results/gpu}")
mkdir -p "$results"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$results/gpu.txt"
[ -d node_modules ] || npm ci --no-audit --no-fund
# Says whether its libraries fit the driver.
[ -e node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so ] ||
  ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js
node src/cli.ts doctor | tee "$results/doctor.txt" || true
npm run --silent bench -- shared --provider cuda --seconds 15 --repeat 3 --results "$results"
npm run --silent bench -- shared --provider cpu --seconds 10 --repeat 2 --results "$results/cpu"
if [ -z "${TORCH_VENV:-}" ]; then
  export TORCH_VENV=$results/torch-venv
  python3 -m venv "$TORCH_VENV"
  "$TORCH_VENV/bin/python" -m pip install --quiet --only-binary :all: numpy pydantic torch
fi
TORCH_VENV=$TORCH_VENV npx vitest run --project real test/process/python/torch.test.ts
PYTHON=$TORCH_VENV npm run --silent bench -- runners --seconds 10 --repeat 3 --results "$results"
