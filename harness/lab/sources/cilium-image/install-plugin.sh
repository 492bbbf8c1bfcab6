#!/bin/sh
# The chart runs this to put the plugin on the node; a rename, so that nobody runs half of it.
set -eu
to=/host/opt/cni/bin
mkdir -p "$to"
cp /opt/cni/bin/cilium-cni "$to/.cilium-cni.new"
mv "$to/.cilium-cni.new" "$to/cilium-cni"
