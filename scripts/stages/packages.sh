# shellcheck shell=bash
# The distribution's packages: what is missing is installed as root or by sudo, or asked for in one command.

readonly claude_version=2.1.329
# What npm is needed for, once: the names in the cache of what the images are built from.
readonly fetched="claude-$claude_version node-24.21.0.tgz npm-11.21.2.tgz pnpm-10.34.9.tgz yarn-classic-1.22.22.tgz \
  yarn-berry-4.18.1.tgz just-1.58.0.tgz"

suitable_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      as_worker "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# Python for whoever will do the work: root asks for the account, anybody else for themselves.
as_worker() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u "$account" -- "$@"); else "$@"; fi
}

worker() { if [ "$(id -u)" -eq 0 ]; then echo "$account"; else id -un; fi; }

has_fetched() {
  local home name
  home=$(if [ "$(id -u)" -eq 0 ]; then account_home; else echo "$HOME"; fi)
  for name in $fetched; do
    [ -e "$home/.cache/mcp-ashigaru/$name" ] || return 1
  done
}

# Prints `thing` once for each thing that TARGET needs and this machine lacks.
lacking() {
  suitable_python >/dev/null || echo python
  command -v git >/dev/null || echo git
  command -v make >/dev/null || echo make
  [ "$1" = check ] && return
  command -v podman >/dev/null || echo podman
  command -v runc >/dev/null || { command -v crun >/dev/null && ! hybrid_cgroups; } || echo runtime
  command -v newuidmap >/dev/null || echo uidmap
  has_fetched || command -v npm >/dev/null || echo npm
  # Its package starts a server, so it is asked for where everything is to be tested, and left alone elsewhere.
  if [ "$1" = test ] && [ "${ASHIGARU_REQUIRE_PODMAN:-}" = 1 ] && ! has_postgres; then echo postgresql; fi
}

has_postgres() {
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
    compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null
}

# crun refuses a host where the version 1 hierarchies are in use.
hybrid_cgroups() { [ ! -e /sys/fs/cgroup/cgroup.controllers ]; }

installer() {
  local tool
  for tool in apt-get dnf; do
    if command -v "$tool" >/dev/null; then
      echo "$tool"
      return 0
    fi
  done
  return 1
}

# Names of the packages for the things on stdin. Podman's companions come with the first of them.
packages_of() {
  local thing podman_with python
  if [ "$1" = apt-get ]; then
    podman_with="podman runc uidmap fuse-overlayfs slirp4netns mmdebstrap"
    python="python3 python3-venv"
  else
    podman_with="podman crun shadow-utils fuse-overlayfs slirp4netns"
    python="python3 python3-pip"
  fi
  while read -r thing; do
    case $thing in
      python) echo "$python" ;;
      podman | runtime | uidmap) echo "$podman_with" ;;
      npm) if [ "$1" = dnf ]; then echo nodejs-npm; else echo npm; fi ;;
      postgresql) if [ "$1" = dnf ]; then echo postgresql-server; else echo postgresql; fi ;;
      *) echo "$thing" ;;
    esac
  done | tr ' ' '\n' | sort -u | tr '\n' ' ' | sed 's/ $//'
}

install_command() {
  if [ "$1" = apt-get ]; then
    echo "apt-get -o DPkg::Lock::Timeout=120 update -qq && DEBIAN_FRONTEND=noninteractive" \
      "apt-get -o DPkg::Lock::Timeout=120 install -qq -y --no-install-recommends $2"
  else
    echo "dnf install -y -q $2"
  fi
}

# Rootless podman maps a range of ids of its own; `useradd` gives one, older accounts may have none.
lacks_sub_ids() { ! grep -q "^$1:" /etc/subuid 2>/dev/null || ! grep -q "^$1:" /etc/subgid 2>/dev/null; }

sub_id_command() {
  local first
  first=$(cat /etc/subuid /etc/subgid 2>/dev/null |
    awk -F: 'BEGIN { end = 100000 } $2 + $3 > end { end = $2 + $3 } END { print end }')
  echo "usermod --add-subuids $first-$((first + 65535)) --add-subgids $first-$((first + 65535)) $1"
}

have_packages() {
  local missing tool command="" what
  missing=$(lacking "$1")
  what=$(echo "$missing" | tr '\n' ' ')
  if [ -n "$missing" ]; then
    tool=$(installer) || fail "neither apt nor dnf is here; install by hand: $what"
    command=$(install_command "$tool" "$(echo "$missing" | packages_of "$tool")")
  fi
  if [ "$1" != check ] && lacks_sub_ids "$(worker)"; then
    command="${command:+$command && }$(sub_id_command "$(worker)")"
    what="${what}sub-ids"
  fi
  if [ -z "$command" ]; then
    say packages "already there"
    return
  fi
  if [ "$(id -u)" -eq 0 ]; then
    say packages "installing: $what"
    timeout 900 sh -c "$command" >/dev/null || fail "the packages could not be installed; run it by hand to see why: $command"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    say packages "installing by sudo: $what"
    timeout 900 sudo -n sh -c "$command" >/dev/null || fail "the packages could not be installed; run it by hand to see why: sudo sh -c '$command'"
  else
    without_privilege "$1" "$missing" "sudo sh -c '$command'"
  fi
  missing=$(lacking "$1" | tr '\n' ' ')
  [ -z "$missing" ] || [ "$1" = test ] || fail "still missing after the installation: $missing"
}

# The tests go on without podman, and say so later; everything else stops here.
without_privilege() {
  if [ "$1" = test ] && [ "${ASHIGARU_REQUIRE_PODMAN:-}" != 1 ] && ! echo "$2" | grep -Eq '^(python|git|make)$'; then
    say packages "podman cannot be used until this has been run: $3"
    return
  fi
  printf 'This machine lacks packages, and installing them takes root. Run this once, then the same target again:\n\n  %s\n\n' "$3" >&2
  exit 1
}
