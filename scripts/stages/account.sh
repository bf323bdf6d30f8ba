# shellcheck shell=bash
# Started as root: an unprivileged account, a copy of the work tree that it owns, and the same script there.

readonly account=devrunner

account_home() { getent passwd "$account" | cut -d: -f6; }

have_account() {
  if id "$account" >/dev/null 2>&1; then
    say account "$account, already there"
  else
    useradd --create-home --shell /bin/bash "$account" || fail "the account $account could not be made; make it by hand."
    say account "$account made: nothing of this runs as root from here on"
  fi
}

# The directories of PATH that the account can use; root's own tools may live under /root.
path_for_account() {
  local directory kept=""
  while read -r -d: directory; do
    if [ -n "$directory" ] && (cd / && runuser -u "$account" -- test -x "$directory"); then
      kept="$kept:$directory"
    fi
  done <<<"$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:"
  echo "${kept#:}"
}

listed_files() { git -c safe.directory='*' -C "$root" ls-files -z "$@" | LC_ALL=C sort -zu; }

copy_of_work_tree() {
  echo "$(account_home)/src/$(basename "$root")-$(printf %s "$root" | sha256sum | cut -c1-6)"
}

# What git would keep (tracked or not ignored) is copied; what was copied before and is gone here is removed there.
copy_work_tree() {
  local copy list
  copy=$(copy_of_work_tree)
  list=$(mktemp)
  git -c safe.directory='*' -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1 ||
    fail "$root is not a git checkout; clone the project with git and start again."
  LC_ALL=C comm -z -23 <(listed_files --cached --others --exclude-standard) <(listed_files --deleted) >"$list"
  as_worker mkdir -p "$copy/.state"
  tar -C "$root" --create --null --files-from "$list" --owner=0 --group=0 |
    as_worker tar -C "$copy" --extract --no-same-owner --unlink-first
  if [ -f "$copy/.state/copied" ]; then
    LC_ALL=C comm -z -13 "$list" "$copy/.state/copied" | as_worker env -C "$copy" xargs -0 -r rm -f --
  fi
  as_worker tee "$copy/.state/copied" <"$list" >/dev/null
  # The copy has no history, and the test of an upgrade needs the version that it is one from.
  if "$root/scripts/previous_version" >"$list" 2>/dev/null; then
    as_worker tee "$copy/.state/previous.tar" <"$list" >/dev/null
  else
    as_worker rm -f "$copy/.state/previous.tar"
  fi
  rm -f "$list"
  say "work tree" "copied to $copy"
}

# Where no login manager makes it, podman's run-time directory is made by hand.
runtime_directory() {
  local uid directory
  uid=$(id -u "$account")
  directory=/run/user/$uid
  [ -d "$directory" ] || install -d -m 0700 -o "$account" -g "$(id -g "$account")" "$directory"
  echo "$directory"
}

# Variables that package clients need to reach their registries, and a few that steer this project.
passed_on() {
  local name value
  while read -r name; do
    case $name in
      TERM | LANG | LC_ALL | CI | PYTEST_ADDOPTS | ASHIGARU_REQUIRE_PODMAN) ;;
      http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY) ;;
      PIP_* | NPM_CONFIG_* | npm_config_*) ;;
      SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | NODE_EXTRA_CA_CERTS | GIT_SSL_CAINFO) ;;
      *) continue ;;
    esac
    value=${!name}
    case $value in
      /*) as_worker test -r "$value" || continue ;;
    esac
    printf '%s=%s\0' "$name" "$value"
  done < <(compgen -e)
}

continue_as_account() {
  local copy variables=()
  copy=$(copy_of_work_tree)
  mapfile -d '' variables < <(passed_on)
  cd "$copy"
  exec runuser -u "$account" -- env -i "PATH=$PATH" "HOME=$(account_home)" "USER=$account" "LOGNAME=$account" \
    "XDG_RUNTIME_DIR=$(runtime_directory)" "${variables[@]}" "$copy/scripts/bootstrap" "$@"
}
