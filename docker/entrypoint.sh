#!/bin/sh
# Runs millrace with the container's arguments, or another program if one is named.
set -eu

app=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-} in
  '' | -* | serve | pipelines | prepare | install | uninstall | new | doctor | run | measure | dev | dispatch) exec node "$app/millrace/dist/src/cli.js" "$@" ;;
  *) exec "$@" ;;
esac
