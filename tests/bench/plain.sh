#!/usr/bin/env bash
# What a person would write by hand: clone, agent, gate, commit, push. One line "<step> <seconds since the epoch>" a step.
#
# plain.sh <clone url> <directory> <name> <agent image> <gate image> <branch> <prompt> -- <podman command...>
#
# The sandboxes are as sealed as the daemon's. They are removed when the clock has stopped, as the daemon's are.
set -euo pipefail
url=$1 work=$2 name=$3 agent=$4 gate=$5 branch=$6 prompt=$7
shift 8
podman=("$@")
say() { echo "$1 $EPOCHREALTIME"; }

sealed=(
  --network=none --userns=keep-id --cap-drop=all --security-opt=no-new-privileges --read-only --read-only-tmpfs=false
  --tmpfs=/tmp:size=536870912 --pids-limit=512 --memory=4294967296 --memory-swap=4294967296 --http-proxy=false
  --log-driver=k8s-file --image-volume=ignore --pull=never --workdir=/workspace
  --env=HOME=/tmp --env=TMPDIR=/tmp --env=LANG=C.UTF-8 --env=PATH=/usr/local/bin:/usr/bin:/bin
  --volume="$work:/workspace:rw"
)

say begin
git clone --quiet "$url" "$work"
say clone
"${podman[@]}" run --interactive --name="$name-agent" "${sealed[@]}" --entrypoint=/usr/local/bin/claude "$agent" \
  -p --output-format stream-json <<<"$prompt" >"$work.events"
say agent
"${podman[@]}" run --name="$name-gate" "${sealed[@]}" --entrypoint=/bin/sh "$gate" -c 'test -s bench.txt'
say gate
cd "$work"
git add --all
git -c user.name=Bench -c user.email=bench@localhost commit --quiet --message="$prompt"
say commit
git push --quiet origin "HEAD:refs/heads/$branch"
say push

"${podman[@]}" rm --force --time=0 "$name-agent" "$name-gate" >/dev/null
cd /
rm -rf "$work" "$work.events"
