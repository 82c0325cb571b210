#!/bin/sh
# Runs millrace with the container's arguments, or any other program that is named.
set -eu

app=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-} in
  '' | -* | serve | pipelines | prepare | new | doctor) exec node "$app/millrace/dist/src/cli.js" "$@" ;;
  *) exec "$@" ;;
esac
