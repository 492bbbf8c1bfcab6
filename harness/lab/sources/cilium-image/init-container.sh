#!/bin/sh
# The chart runs this to forget what an earlier agent left on the node, where its settings ask for that.
set -eu
if [ "${CILIUM_BPF_STATE:-}" = true ]; then cilium-dbg cleanup -f --bpf-state; fi
if [ "${CILIUM_ALL_STATE:-}" = true ]; then cilium-dbg cleanup -f --all-state; fi
