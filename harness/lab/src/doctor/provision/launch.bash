# Runs dockerd in a session of its own, holding nothing of its parent's: whoever waits for the end of ferry's output would
# otherwise wait for the engine's. The process id stays that of this shell.
for descriptor in /proc/$$/fd/*; do
  descriptor=${descriptor##*/}
  # 255 is bash's own, and closed by exec.
  if ((descriptor > 2 && descriptor != 255)); then eval "exec $descriptor>&-"; fi
done
exec setsid dockerd "$@"
