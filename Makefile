# Each target does all the set-up it needs, in stages that say so and are skipped when they are already there.
.DEFAULT_GOAL := help
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make pins"
.PHONY: help demo test attack referee chaos bench check images clean pins

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## the whole job on the shipped demo repository: no account, no token
	@scripts/bootstrap demo $(ARGS)

test: ## every test, those on real podman included
	@scripts/bootstrap test $(ARGS)

attack: ## every attack on the real parts, and what stopped it; WITHOUT=<defence> or WITHOUT=all takes them out
	@scripts/bootstrap attack $(if $(WITHOUT),--without "$(WITHOUT)") $(ARGS)

referee: ## cheats and honest changes, judged: how many of each the gates get wrong; ONLY=<name> WITHOUT=<defence>
	@scripts/bootstrap referee $(if $(ONLY),--only "$(ONLY)") $(if $(WITHOUT),--without "$(WITHOUT)") $(ARGS)

chaos: ## the daemon killed at every fault point and at random: what was lost, doubled or left; ONLY=<point>
	@scripts/bootstrap chaos $(if $(ONLY),--only "$(ONLY)") $(ARGS)

bench: ## what the daemon costs beside a plain shell script; ARGS=--help says how to ask for less
	@scripts/bootstrap bench $(ARGS)

check: ## format, lint, types, import contracts and the fast tests
	@scripts/bootstrap check $(ARGS)

images: ## the sandboxes' images, built once
	@scripts/bootstrap images

clean: ## forget the environment and the tools' caches; state and images stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

pins: ## write the pinned requirements anew (needs uv)
	uv $(COMPILE) --group pyproject.toml:dev pyproject.toml requirements/build.in --output-file requirements/dev.txt
	uv $(COMPILE) --constraint requirements/dev.txt pyproject.toml requirements/build.in --output-file requirements/daemon.txt
