#!/bin/sh
# OCI runtime of the engine that ferry starts on a machine that lacks capabilities: runc, but a privileged container gets every
# capability that this machine has, instead of failing for one that nobody here can have. Containers that are not privileged are
# left alone. The settings beside this file, runtime.conf, say what to take away and what to add.
set -eu
. "${0%/*}/runtime.conf"

bundle=
process=
previous=
for argument in "$@"; do
  case $previous in
    --bundle | -b) bundle=$argument ;;
    --process | -p) process=$argument ;;
  esac
  case $argument in
    --bundle=*) bundle=${argument#*=} ;;
    --process=*) process=${argument#*=} ;;
  esac
  previous=$argument
done

# Only --privileged (or --cap-add ALL) gives all three of these.
grant='with_entries(.value |= ((. // [])
  | if (["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"] - .) == [] then (. + $added - $lacking | unique) else . end))'

# edit FILE FILTER: replaces the file's content, keeping the file, its owner and its mode.
edit() {
  jq -c --argjson added "$added" --argjson lacking "$lacking" "$2" "$1" >"$1.ferry"
  cat "$1.ferry" >"$1"
  rm "$1.ferry"
}

# create and run: the container's own process. exec: the one that joins it.
if [ -n "$bundle" ] && [ -f "$bundle/config.json" ]; then
  edit "$bundle/config.json" "if .process.capabilities then .process.capabilities |= $grant else . end"
fi
if [ -n "$process" ] && [ -f "$process" ]; then
  edit "$process" "if .capabilities then .capabilities |= $grant else . end"
fi
exec "$runc" "$@"
