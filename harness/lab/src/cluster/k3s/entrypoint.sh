#!/bin/sh
# Makes a container fit for k3s, then becomes k3s, which must stay the first process: as such it sets up its own cgroup.
set -eu

# Pods' volumes that are mounted later must be seen from other mounts.
mount --make-rshared /

# Docker answers names at a loopback address, which pods cannot ask; k3s would give them a public resolver instead, and they
# would not find the lab's servers. So the same answers are given at the gateway's address too. The rules are new at each
# start, the file is not.
embedded=127.0.0.11
gateway=$(ip -4 route show default | head -n 1 | cut -d' ' -f3)
if [ -n "$gateway" ] && grep -qE "^nameserver ($embedded|$gateway)\$" /etc/resolv.conf; then
  # What pods ask there is led to a loopback address.
  echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
  iptables-save -t nat | sed \
    -e "s/-d $embedded/-d $gateway/g" \
    -e 's/^-A OUTPUT \(.*\) -j DOCKER_OUTPUT$/-A OUTPUT \1 -j DOCKER_OUTPUT\n-A PREROUTING \1 -j DOCKER_OUTPUT/' \
    -e "s/--to-source :53/--to-source $gateway:53/g" | iptables-restore
  # Mounted: it can be written, but not replaced.
  resolv=$(sed "s/$embedded/$gateway/g" /etc/resolv.conf)
  echo "$resolv" >/etc/resolv.conf
fi

exec /bin/k3s "$@"
