# shellcheck shell=bash
# The virtual environment: pinned and hashed dependencies, and the project itself as an editable install.

environment_key() {
  {
    "$1" -c 'import sys; print(sys.version, sys.executable)'
    cat requirements/dev.txt pyproject.toml
    pwd -P
  } | sha256sum | cut -c1-16
}

have_environment() {
  local python key pip=(.venv/bin/python -m pip --quiet --disable-pip-version-check --no-input)
  python=$(suitable_python) || fail "no Python of at least 3.11 with venv is on PATH; install one."
  key=$(environment_key "$python")
  if [ "$(cat .venv/.key 2>/dev/null)" = "$key" ] && [ -x .venv/bin/mcp-ashigaru ]; then
    say environment "already there"
    return
  fi
  say environment "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
  timeout 1200 "${pip[@]}" install --require-hashes --only-binary :all: -r requirements/dev.txt ||
    fail "the pinned dependencies could not be installed; check that pip can reach its index, then start again."
  timeout 300 "${pip[@]}" install --no-deps --no-build-isolation --editable . ||
    fail "the project could not be installed into .venv; the lines above say why."
  echo "$key" >.venv/.key
}
