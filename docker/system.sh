#!/bin/sh
# Prepares a Debian or Ubuntu image: ffmpeg, an init, Python with uv, and a user with folders
# for models, pipelines and recordings. Run as root.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends ca-certificates ffmpeg tini python3 python3-venv libatomic1
apt-get clean
# OpenGL drivers, dependencies of ffmpeg's packages, are useless without a screen and a fifth of the image. Before installing a
# driver that needs LLVM, such as Mesa's for VAAPI, reinstall their packages with apt-get install --reinstall.
rm -rf /var/lib/apt/lists/* /usr/lib/*/dri/*_dri.so /usr/lib/*/libLLVM* /usr/lib/*/libgallium* /usr/lib/*/libz3.so*

# Creates the environments of Python pipelines in a fifth of pip's time.
python3 -m venv /opt/uv
/opt/uv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary :all: uv==0.13.9
ln -s /opt/uv/bin/uv /usr/local/bin/uv

groupadd --gid 10001 millrace
useradd --uid 10001 --gid millrace --no-create-home --home-dir /data --shell /usr/sbin/nologin millrace
install -d -o millrace -g millrace /models /pipelines /recordings
# Volumes mounted over it inherit this mode, but not always an owner.
install -d -m 1777 /data
