#!/bin/bash
# Both daemons in the foreground: if either ends, so does the container.
set -euo pipefail

trap 'kill $(jobs -p) 2>/dev/null; wait; exit 0' TERM INT

[ -e /etc/ferry/users ] || install -m 0640 /dev/null /etc/ferry/users
[ -e /etc/ferry/authorized_keys ] || install -m 0644 /dev/null /etc/ferry/authorized_keys
chown git /etc/ferry/users
chmod 0644 /etc/ferry/authorized_keys
[ -e /etc/ferry/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ferry/ssh_host_ed25519_key
chown root /etc/ferry/ssh_host_ed25519_key
chmod 0600 /etc/ferry/ssh_host_ed25519_key

for repo in $FERRY_REPOS; do
  if [ ! -d "/srv/git/$repo.git" ]; then
    git init --quiet --bare "/srv/git/$repo.git"
    chown -R git:git "/srv/git/$repo.git"
  fi
  # ssh://git@host/fleet means the absolute path /fleet.
  mkdir -p "$(dirname "/$repo")"
  ln -sfn "/srv/git/$repo.git" "/$repo.git"
done

# lighttpd opens its access log as git.
chmod o+w /dev/stderr
/usr/sbin/sshd -D -e &
lighttpd -D -f /etc/lighttpd/lighttpd.conf &
wait -n && code=0 || code=$?
kill $(jobs -p) 2>/dev/null || true
exit "$((code ? code : 1))"
