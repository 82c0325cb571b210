#!/bin/sh
# Prepares the system of an image, Debian's or Ubuntu's: ffmpeg, an init, and a user of its own with folders for models
# and pipelines. Run as root.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends ca-certificates ffmpeg tini
apt-get clean
# OpenGL's drivers, which ffmpeg's packages bring in, have no screen here: a fifth of the image. Before installing a
# driver that needs LLVM, such as Mesa's for VAAPI: apt-get install --reinstall the packages that these are of.
rm -rf /var/lib/apt/lists/* /usr/lib/*/dri/*_dri.so /usr/lib/*/libLLVM* /usr/lib/*/libgallium* /usr/lib/*/libz3.so*

groupadd --gid 10001 millrace
useradd --uid 10001 --gid millrace --no-create-home --home-dir /data --shell /usr/sbin/nologin millrace
install -d -o millrace -g millrace /models /pipelines
# What is mounted over it takes this mode, and not always an owner.
install -d -m 1777 /data
