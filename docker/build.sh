#!/bin/sh
# Builds Millrace and lays it out as an image has it.
#
#   docker/build.sh dependencies     installs what building needs, from the lock file
#   docker/build.sh app FOLDER       builds, and fills FOLDER:
#       millrace/     the package, with its dependencies from the lock file
#       docker/       what an image starts
#
# ONNX=cuda12 also fetches ONNX Runtime's libraries for CUDA 12.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

dependencies() {
  cd "$root"
  npm ci --no-audit --no-fund
}

app() {
  target=$1
  cd "$root"
  npm run build

  mkdir -p "$target/millrace" "$target/docker"
  cp package.json package-lock.json .npmrc LICENSE README.md "$target/millrace/"
  cp -R dist "$target/millrace/"
  (cd "$target/millrace" && npm ci --omit=dev --prefer-offline --no-audit --no-fund)
  slim "$target/millrace/node_modules"

  if [ "${ONNX:-cpu}" = cuda12 ]; then
    (cd "$target/millrace" && ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js)
  fi

  chmod +x "$target/millrace/dist/src/cli.js"
  cp docker/entrypoint.sh docker/health.mjs "$target/docker/"
}

# Leaves out what this machine cannot run, the ffmpeg of 2018, since an image has a newer one, and a report of 11 MB.
slim() {
  rm -rf "$1/@ffmpeg-installer" "$1/fluent-ffmpeg/coverage"
  here=$(node -p process.arch)
  for folder in "$1"/onnxruntime-node/bin/napi-v*/*/*; do
    case $folder in */linux/"$here") ;; *) rm -rf "$folder" ;; esac
  done
}

case ${1:-} in
  dependencies) dependencies ;;
  app) app "${2:?name the folder}" ;;
  *)
    echo "usage: docker/build.sh dependencies | app FOLDER" >&2
    exit 2
    ;;
esac
