#!/bin/sh
# Rules split between iptables' two back ends would shadow each other: use the one that kubelet has left its hint in.
if ! iptables-nft-save -t mangle 2>/dev/null | grep -q '^:KUBE-\(IPTABLES-HINT\|KUBELET-CANARY\)' &&
    iptables-legacy-save -t mangle 2>/dev/null | grep -q '^:KUBE-\(IPTABLES-HINT\|KUBELET-CANARY\)'; then
  update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
  update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
fi
exec /usr/local/bin/kube-proxy.bin "$@"
