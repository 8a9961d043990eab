# Everything a person does with this project. `make` alone says what there is.

CARGO  ?= cargo
PREFIX ?= /usr/local
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
BINARY := target/$(TARGET)/release/appctl
DEMO   := $(CURDIR)/target/demo

# What makes the static binary smaller: the tables for unwinding are a quarter smaller where functions
# have frame pointers; where sources lie is nobody's business; and functions that are the same, and relocations, take less room where the linker
# knows how. Rust's own does, which is the default on x86-64.
SMALL    = -C force-frame-pointers=yes --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=
SMALLER  = -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs
CAN_LINK = echo 'fn main() {}' | rustc --crate-name try --target $(TARGET) $(SMALLER) -o target/try - 2>/dev/null

# The binary in the demo, and the configuration it finds there.
IN_DEMO = APPCTL_DEMO=$(DEMO) $(BINARY) -c conf/demo.conf

.PHONY: help build demo demo-stop test bench fuzz chaos fmt lint ci install clean

help: ## Say what there is
	@echo "appctl: what you can make"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

build: ## The static release binary
	@mkdir -p target
	RUSTFLAGS="-C target-feature=+crt-static $(SMALL) $$($(CAN_LINK) && echo '$(SMALLER)')" \
	    $(CARGO) build --release --target $(TARGET)

demo: build ## Build, start a daemon on conf/demo.conf, show its status
	@mkdir -p $(DEMO)
	@$(IN_DEMO) shutdown >/dev/null 2>&1; while $(IN_DEMO) pid >/dev/null 2>&1; do sleep 0.1; done
	@$(IN_DEMO) daemon --detach
	@while $(IN_DEMO) status | grep -q STARTING; do sleep 0.1; done
	@$(IN_DEMO) status || [ $$? = 3 ]  # 3: something does not run, as `once` has done its work
	@printf '\nThe daemon runs. Try next:\n'
	@printf '  export APPCTL_DEMO=%s\n' '$(DEMO)'
	@printf '  alias a="%s -c %s/conf/demo.conf"\n' '$(abspath $(BINARY))' '$(CURDIR)'
	@printf '  a status          a tail -f clock       a restart workers:*\n'
	@printf '  ls $$APPCTL_DEMO   (logs, rotated at 500 bytes)\n'
	@printf 'Stop it with: make demo-stop\n'

demo-stop: ## Stop the daemon of the demo
	@$(IN_DEMO) shutdown

test: ## Everything that is checked before a change is accepted
	$(CARGO) test --no-fail-fast

bench: build ## Measure, side by side with peers
	@APPCTL=$(CURDIR)/$(BINARY) $(CARGO) bench --bench side_by_side

fuzz: ## Look for input that does harm, SECONDS for each target (fuzz/README.md)
	@fuzz/run $(SECONDS)

chaos: ## Kill, starve and upgrade the daemon in loops; the same kills for peers that are installed
	@APPCTL_CHAOS=long $(CARGO) test --test chaos -- --nocapture --test-threads=1
	@tests/chaos/peers.sh
	@tests/chaos/systemd.sh

fmt: ## Format the sources
	$(CARGO) fmt

lint: ## Formatting and clippy, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

ci: ## What the project's CI runs
	bash .ci/run

install: build ## Install the binary, and links with the names of Supervisor's programs, under PREFIX
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/appctl
	for name in supervisord supervisorctl echo_supervisord_conf pidproxy; do \
	    ln -sf appctl $(DESTDIR)$(PREFIX)/bin/$$name; done

clean: ## Remove what was built
	$(CARGO) clean
