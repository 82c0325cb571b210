#!/bin/sh
# Starts MediaMTX in front of Millrace. MILLRACE is host and port of the server, AUTH_TOKEN and VIEW_TOKEN are its tokens,
# PUBLIC_IP is the address at which WebRTC clients reach this machine.
set -eu
here=$(dirname "$0")
config=$(mktemp)
sed "s|@MILLRACE@|${MILLRACE:-millrace:8000}|g" "$here/mediamtx.yml" > "$config"

if [ -n "${AUTH_TOKEN:-}" ]; then
  export MTX_AUTHINTERNALUSERS_1_USER=millrace MTX_AUTHINTERNALUSERS_1_PASS="$AUTH_TOKEN"
fi
if [ -n "${VIEW_TOKEN:-}" ]; then
  export MTX_AUTHINTERNALUSERS_2_USER=viewer MTX_AUTHINTERNALUSERS_2_PASS="$VIEW_TOKEN"
  export MTX_PATHDEFAULTS_WHEPBEARERTOKEN="$VIEW_TOKEN"
fi
if [ -n "${PUBLIC_IP:-}" ]; then
  export MTX_WEBRTCADDITIONALHOSTS="$PUBLIC_IP"
fi
exec "${MEDIAMTX:-/mediamtx}" "$config"
