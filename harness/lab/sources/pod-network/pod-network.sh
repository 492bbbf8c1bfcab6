#!/bin/bash
# A pod network in one file: veth pairs by the ptp plugin, one route per peer node, masquerade for traffic that leaves.
# Needs NODE_NAME, POD_SUBNET and a service account that may list and watch nodes.
set -euo pipefail

account=/var/run/secrets/kubernetes.io/serviceaccount
api="https://${API_SERVER:-$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT}/api/v1/nodes"
request() { curl --silent --show-error --fail --no-buffer --cacert $account/ca.crt -H "Authorization: Bearer $(cat $account/token)" "$@"; }

nodes='[.metadata.name, (.spec.podCIDR // "-"), ([.status.addresses[]? | select(.type == "InternalIP") | .address][0] // "-"), .metadata.resourceVersion] | @tsv'

masquerade() {
  iptables --wait -t nat -N FERRY-MASQ 2>/dev/null || iptables --wait -t nat -F FERRY-MASQ
  iptables --wait -t nat -A FERRY-MASQ -d "$POD_SUBNET" -j RETURN
  iptables --wait -t nat -A FERRY-MASQ -d 224.0.0.0/4 -j RETURN
  iptables --wait -t nat -A FERRY-MASQ -j MASQUERADE
  iptables --wait -t nat -C POSTROUTING -s "$POD_SUBNET" -j FERRY-MASQ 2>/dev/null ||
    iptables --wait -t nat -A POSTROUTING -s "$POD_SUBNET" -j FERRY-MASQ
}

# A pod that is gone answers nobody: without this, what is sent to its address would leave the machine by the default route,
# and a router or a proxy out there could answer in its place. Pods and peers have routes of their own, which come first.
keep_in() {
  ip route replace unreachable "$POD_SUBNET"
}

configure() { # podCIDR
  local file=/etc/cni/net.d/10-ferry.conflist
  [ ! -e $file ] || return 0
  cat >$file.new <<CNI
{"cniVersion": "0.3.1", "name": "ferry", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": $(cat /sys/class/net/eth0/mtu),
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state", "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "$1"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
CNI
  mv $file.new $file
  echo "pods of $NODE_NAME live in $1"
}

apply() { # name podCIDR address
  [ "$2" != - ] || return 0
  if [ "$1" = "$NODE_NAME" ]; then
    configure "$2"
  elif [ "$3" != - ]; then
    ip route replace "$2" via "$3" && echo "$2 is at $1 ($3)"
  fi
}

masquerade
keep_in
while :; do
  version=
  # A list first, so that peers which left while the watch was down lose their routes only when their range is reused.
  while IFS=$'\t' read -r name cidr address version; do apply "$name" "$cidr" "$address"; done \
    < <(request "$api" | jq -r '.metadata.resourceVersion as $version | .items[] | .metadata.resourceVersion = $version | '"$nodes")
  if [ -z "$version" ]; then
    sleep 0.2
    continue
  fi
  while IFS=$'\t' read -r kind name cidr address _; do
    [ "$kind" != ERROR ] || break
    if [ "$kind" = DELETED ]; then [ "$cidr" = - ] || ip route del "$cidr" 2>/dev/null || true; else apply "$name" "$cidr" "$address"; fi
  done < <(request "$api?watch=true&resourceVersion=$version&timeoutSeconds=300" |
    jq --unbuffered -r '.type as $type | .object | if $type == "ERROR" then ["ERROR", "-", "-", "-", "-"] | @tsv else $type + "\t" + ('"$nodes"') end')
done
