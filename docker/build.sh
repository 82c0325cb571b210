#!/bin/sh
# Builds Millrace in the layout of an image.
#
#   docker/build.sh dependencies     installs build dependencies from the lock file
#   docker/build.sh packages FOLDER  installs run-time dependencies from the lock file: FOLDER/millrace/node_modules
#   docker/build.sh app FOLDER       builds into FOLDER, which may be the same:
#       millrace/     the package, without its dependencies
#       docker/       the image's entry point
#
# With ONNX=cuda12, `packages` also downloads ONNX Runtime's libraries for CUDA 12.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

dependencies() {
  cd "$root"
  npm ci --no-audit --no-fund
}

packages() {
  mkdir -p "$1/millrace"
  cd "$root"
  cp package.json package-lock.json .npmrc "$1/millrace/"
  cd "$1/millrace"
  npm ci --omit=dev --prefer-offline --no-audit --no-fund
  slim node_modules
  # npm does not fail without optional packages.
  test -d node_modules/onnxruntime-node

  if [ "${ONNX:-cpu}" = cuda12 ]; then
    ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js
  fi
}

app() {
  target=$1
  cd "$root"
  npm run build

  mkdir -p "$target/millrace" "$target/docker"
  cp package.json package-lock.json .npmrc LICENSE README.md "$target/millrace/"
  cp -R dist "$target/millrace/"
  chmod +x "$target/millrace/dist/src/cli.js"
  cp docker/entrypoint.sh docker/health.mjs "$target/docker/"
}

# Omits binaries of other platforms, the ffmpeg of 2018 (an image has a newer one), and a report of 11 MB.
slim() {
  rm -rf "$1/@ffmpeg-installer" "$1/fluent-ffmpeg/coverage"
  here=$(node -p process.arch)
  for folder in "$1"/onnxruntime-node/bin/napi-v*/*/*; do
    case $folder in */linux/"$here") ;; *) rm -rf "$folder" ;; esac
  done
  # For Alpine's C library.
  rm -rf "$1"/@koromix/koffi-linux-*/musl_*
}

case ${1:-} in
  dependencies) dependencies ;;
  packages) packages "${2:?name the folder}" ;;
  app) app "${2:?name the folder}" ;;
  *)
    echo "usage: docker/build.sh dependencies | packages FOLDER | app FOLDER" >&2
    exit 2
    ;;
esac
