#!/bin/sh
# Cilium asks the kernel's lists of modules whether iptables can be used, and gives up where there is none: a kernel with
# everything built in has no /proc/modules, and often came without a list of what is built in.
mkdir -p /run/ferry
cat /proc/modules >/run/ferry/modules 2>/dev/null || : >/run/ferry/modules

# Where Cilium looks last: a list of the machine's own comes first.
builtin=/usr/lib/debug/lib/modules/$(uname -r)
mkdir -p "$builtin"
for module in ip_tables iptable_nat iptable_mangle iptable_raw iptable_filter \
  ip6_tables ip6table_mangle ip6table_raw ip6table_filter xt_socket; do
  if [ -s /run/ferry/modules ]; then break; fi
  echo "kernel/$module.ko"
done >"$builtin/modules.builtin"
exec /usr/bin/cilium-agent.bin "$@"
