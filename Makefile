# Everything a person does with this project. `make` alone says what there is.

CARGO  ?= cargo
PREFIX ?= /usr/local
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
BINARY := target/$(TARGET)/release/appctl
DEMO   := $(CURDIR)/target/demo

.PHONY: help build demo demo-stop test bench chaos fmt lint ci install clean

help: ## Say what there is
	@echo "appctl: what you can make"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

build: ## The static release binary
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --target $(TARGET)

demo: build ## Build, start a daemon on conf/demo.conf, show its status
	@mkdir -p $(DEMO)
	@APPCTL_DEMO=$(DEMO) $(BINARY) -c conf/demo.conf shutdown >/dev/null 2>&1; \
	 for i in 1 2 3 4 5 6 7 8 9 10; do [ -S $(DEMO)/appctl.sock ] || break; sleep 0.3; done
	@APPCTL_DEMO=$(DEMO) $(BINARY) daemon --detach -c conf/demo.conf
	@APPCTL_DEMO=$(DEMO) $(BINARY) -c conf/demo.conf start all >/dev/null 2>&1 || true
	@APPCTL_DEMO=$(DEMO) $(BINARY) -c conf/demo.conf status
	@printf '\nThe daemon runs. Try next:\n'
	@printf '  export APPCTL_DEMO=%s\n' '$(DEMO)'
	@printf '  alias a="%s -c %s/conf/demo.conf"\n' '$(BINARY)' '$(CURDIR)'
	@printf '  a status          a tail -f clock       a restart workers:*\n'
	@printf '  ls $$APPCTL_DEMO   (logs, rotated at 2 kB)\n'
	@printf 'Stop it with: make demo-stop\n'

demo-stop: ## Stop the daemon of the demo
	@APPCTL_DEMO=$(DEMO) $(BINARY) -c conf/demo.conf shutdown

test: ## Everything that is checked before a change is accepted
	$(CARGO) test --no-fail-fast

bench: build ## Measure, side by side with peers
	@APPCTL=$(CURDIR)/$(BINARY) $(CARGO) bench --bench side_by_side

chaos: ## Kill, starve and upgrade the daemon in loops; the same kills for peers that are installed
	@APPCTL_CHAOS=long $(CARGO) test --test chaos -- --nocapture --test-threads=1
	@tests/chaos/peers.sh

fmt: ## Format the sources
	$(CARGO) fmt

lint: ## Formatting and clippy, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

ci: ## What the project's CI runs
	bash .ci/run

install: build ## Install the binary and the links supervisord and supervisorctl under PREFIX
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/appctl
	ln -sf appctl $(DESTDIR)$(PREFIX)/bin/supervisord
	ln -sf appctl $(DESTDIR)$(PREFIX)/bin/supervisorctl

clean: ## Remove what was built
	$(CARGO) clean
