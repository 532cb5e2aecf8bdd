# SPDX-License-Identifier: Apache-2.0
# A thin layer over Meson: each target installs what it needs (Debian and its relatives), then runs.
BUILD ?= build
DESTDIR ?=
PREFIX ?= /usr/local

.PHONY: all deb vm lintian build program deps demo check bench corpus live agreement nightly fuzz tidy format install clean

all: build

deps:
	@tools/deps build

$(BUILD)/build.ninja: | deps
	@meson setup $(BUILD) --prefix $(PREFIX)

build: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD)

# Only what runs, without the tests.
program: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet src/cli/staunch src/agent/staunchd src/agent/staunch-vault bench/decode-floor bench/stop-floor

demo: program
	@tools/deps demo
	@tools/demo --build $(BUILD)

check:
	@tools/deps build check
	@tools/check --build $(BUILD)/check

bench: program
	@tools/deps demo bench
	@tools/bench --build $(BUILD)

# SIZE=MiB (largest download of one source package), ONLY="SOURCE ...", JOBS=N, LIVE=no
corpus: program
	@tools/deps demo corpus
	@tools/corpus --build $(BUILD) $(if $(SIZE),--size $(SIZE)) $(if $(JOBS),--jobs $(JOBS)) \
		$(if $(filter no,$(LIVE)),--no-live) $(ONLY)

# Only the running software of the corpus: ONLY="nginx redis"
live: program
	@tools/deps demo corpus
	@tools/corpus --build $(BUILD) --only-live $(ONLY)

# Debian packages, into $(BUILD)/deb.
deb:
	@tools/deps build deb
	@rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/staunch
	@tar -c --exclude=./.git --exclude='./build*' . | tar -x -C $(BUILD)/deb/staunch
	@cd $(BUILD)/deb/staunch && dpkg-buildpackage -us -uc -b
	@rm -rf $(BUILD)/deb/staunch

# What Debian's checker says about the packages: nothing.
lintian: deb
	@tools/deps vm
	@lintian --fail-on info,warning,error $(if $(filter 0,$(shell id -u)),--allow-root) $(BUILD)/deb/*.changes

# The packages in a virtual machine: ONLY="install upgrade"; docs/vm.md
vm: deb
	@tools/deps vm
	@nice tests/vm/run.py --build $(BUILD) $(ONLY)

agreement: build
	@tools/deps check
	@tests/agreement/run.sh

# Random programs and edits, thousands: FIRST=1 COUNT=5000, SHAPES=100 about each shape, from FROM=0 on. Failed seeds are
# named; build/generated.json has the figures.
FIRST ?= 1
COUNT ?= 5000
SHAPES ?= 100
FROM ?= 0
nightly: build
	@tools/deps check
	@tests/generated/run --staunch $(BUILD)/src/cli/staunch --regressions --first $(FIRST) --count $(COUNT) --shapes $(SHAPES) --from $(FROM) \
		--json $(BUILD)/generated.json
	@tests/agreement/pairs.py $(BUILD)/src/cli/staunch

# Minutes to spend on each fuzz target.
FUZZ_MINUTES ?= 1
fuzz:
	@tools/deps build check
	@tools/fuzz --build $(BUILD)/fuzz --minutes $(FUZZ_MINUTES)

tidy: build
	@tools/deps check
	@run-clang-tidy -quiet -p $(BUILD) '^((?!/build/).)*/src/[^/]+/[^/]+\.c$$'

format:
	@tools/deps check
	@tests/format.sh --fix

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD)
