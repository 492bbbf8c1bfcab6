#!/bin/sh
# Imports the archives in /mnt/archives (docker save) into the containerd store of a kind node image, unpacked, so that a
# cluster neither imports nor unpacks anything when it boots. /mnt must be a volume: overlayfs cannot unpack on overlayfs.
#
# kind gives each node an anonymous volume on /var, which the engine fills by copying what the image has there. Unpacked
# layers therefore move to /kind/snapshots, where all nodes share them with the image, and /var holds links to them.
set -eu

store=/var/lib/containerd
shared=/kind/snapshots
root=/mnt/containerd
socket=/mnt/containerd.sock
snapshots=$root/io.containerd.snapshotter.v1.overlayfs/snapshots
blobs=$root/io.containerd.content.v1.content/blobs/sha256
mkdir -p $root $shared
[ ! -d $store ] || cp -a $store/. $root/

containerd --root $root --state /mnt/state --address $socket --log-level fatal &
daemon=$!
containerd_ctl() { ctr --address $socket --namespace k8s.io "$@"; }
until containerd_ctl version >/dev/null 2>&1; do
  kill -0 $daemon
  sleep 0.1
done

# A deletion in a layer is a device node that only overlayfs's own upper layer may hold, so it cannot be part of an image.
has_deletions() { [ -n "$(find $snapshots -mindepth 2 -type c -print -quit)" ]; }

for archive in /mnt/archives/*.tar; do
  containerd_ctl images list --quiet | sort >/mnt/before
  containerd_ctl images import --snapshotter overlayfs "$archive"
  if has_deletions; then
    echo "layers with deletions in $archive: the first pod that needs the image unpacks it"
    containerd_ctl images list --quiet | sort | comm -13 /mnt/before - | xargs ctr --address $socket --namespace k8s.io images remove --sync
    containerd_ctl images import --no-unpack "$archive"
  fi
  rm "$archive"
done

# As kind does when it pulls, drop layers once unpacked. Their names stay: containerd, when it starts, takes an image without
# them for incomplete and pulls it anew.
for digest in $(containerd_ctl content list | awk '/containerd.io\/uncompressed=/ {print $1}'); do
  chmod u+w $blobs/"${digest#sha256:}"
  : >$blobs/"${digest#sha256:}"
done
kill $daemon
wait $daemon || true

for snapshot in "$snapshots"/*; do
  if [ -L "$snapshot" ]; then continue; fi
  id=$(basename "$snapshot")
  rm -rf "${shared:?}/$id"
  cp -a "$snapshot" "$shared/$id"
  rm -rf "$snapshot"
  ln -s "$shared/$id" "$snapshot"
done

rm -rf $store
mkdir -p $store
cp -a $root/. $store/
rm -rf /mnt/* 2>/dev/null || true
