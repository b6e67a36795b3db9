# The two commands of the README are `make demo` and `make test`; both install what is missing first.

CARGO ?= cargo
export PATH := $(HOME)/.cargo/bin:$(PATH)
# Property tests try the same cases each time; another number tries others.
export PROPTEST_RNG_SEED ?= 20261121

.PHONY: help demo test build perf setup-build setup-demo setup-test setup-perf lint unit system docs clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup-build:
	@scripts/setup.sh build
setup-demo:
	@scripts/setup.sh build demo
setup-test:
	@scripts/setup.sh build demo test

setup-perf:
	@scripts/setup.sh build perf

build: setup-build ## the programs, into target/release
	$(CARGO) build --release --locked -p earwitness -p earwitness-capture -p earwitness-codec -p earwitness-fixtures -p earwitness-tests --bins

demo: setup-demo build ## two phones call each other, the tap records them, the recording is checked
	@scripts/demo.sh

test: setup-test lint unit system ## everything that CI runs

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

unit:
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked --exclude earwitness-tests

system: ## pipeline and system tests, with real XDP, phones and network namespaces
	$(CARGO) test --locked -p earwitness-tests --lib --bins --test tidy --test system --test pipeline

perf: setup-perf ## what it costs, beside its peers; needs root and a quiet machine
	$(CARGO) build --release --locked -p earwitness-capture -p earwitness-perf
	target/release/earwitness-perf wire

docs: build ## generated pages: configuration, manual
	target/release/earwitness config reference > docs/configuration.md
	target/release/earwitness man target/man

clean: ## what was built
	$(CARGO) clean
	rm -rf ebpf/program/target
