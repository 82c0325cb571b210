#!/bin/sh
# Builds the image, runs it as compose.yaml does, and checks that it works; needs Docker or Podman.
#
#   docker/verify.sh              builds docker/Dockerfile first
#   docker/verify.sh IMAGE        checks an existing image
#
# ENGINE is the program, default `docker`; RUN_FLAGS are additional flags for its `run`.
set -eu

engine=${ENGINE:-docker}
image=${1:-}
name=millrace-verify-$$

fail() {
  echo "not ok: $1" >&2
  $engine logs "$name" >&2 || true
  exit 1
}

inside() { $engine exec "$name" "$@"; }

if [ -z "$image" ]; then
  image=millrace-verify
  # Podman's own format has no health check.
  case $engine in *podman*) set -- --format docker ;; *) set -- ;; esac
  $engine build "$@" -t "$image" -f "$(dirname "$0")/Dockerfile" "$(dirname "$0")/.."
fi

trap '$engine rm -f "$name" > /dev/null 2>&1' EXIT
# shellcheck disable=SC2086 # several flags
$engine run -d --name "$name" --read-only --tmpfs /tmp --tmpfs /data --cap-drop ALL --security-opt no-new-privileges \
  ${RUN_FLAGS:-} "$image" > /dev/null

tries=0
until inside node /app/docker/health.mjs > /dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 30 ] || fail 'it is not healthy after 30 tries'
  sleep 1
done
echo 'ok: healthy'

[ "$(inside id -u)" = 10001 ] || fail 'it runs as another user'
inside touch /models/.verify /pipelines/.verify /recordings/.verify /tmp/.verify /data/.verify || fail 'a folder cannot be written to'
inside touch /app/.verify 2> /dev/null && fail 'the server can change itself'
echo 'ok: confined, with its folders writable'

# The port is the running server's.
inside env PORT=0 millrace doctor || fail 'the doctor'
inside millrace prepare > /dev/null || fail 'preparing models'
echo 'ok: doctor, prepare'

inside node --input-type=module -e '
  const url = `http://127.0.0.1:${process.env.PORT}`
  const begun = await fetch(`${url}/test-picture/verify?pipeline=effects`, { method: "POST" })
  if (begun.status !== 201) throw new Error(`test picture: ${begun.status} ${await begun.text()}`)
  for (let tries = 0; ; tries++) {
    const { inference } = await (await fetch(`${url}/streams/verify`)).json()
    if (inference.fps > 10) break
    if (tries === 30) throw new Error(`${inference.fps} pictures a second`)
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  const picture = await fetch(`${url}/out/verify.jpg`)
  const bytes = (await picture.arrayBuffer()).byteLength
  if (!picture.ok || bytes < 10000) throw new Error(`picture: ${picture.status}, ${bytes} bytes`)
' || fail 'a stream'
echo 'ok: a stream through a pipeline'

$engine stop -t 30 "$name" > /dev/null
code=$($engine inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" = 0 ] || fail "it stopped with code $code"
echo 'ok: stopped in order'
