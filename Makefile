# SPDX-License-Identifier: Apache-2.0
# A thin layer over Meson: each target installs what it needs (Debian and its relatives), then runs.
BUILD ?= build
DESTDIR ?=
PREFIX ?= /usr/local

.PHONY: all build deps demo check bench corpus live agreement fuzz tidy format install clean

all: build

deps:
	@tools/deps build

build: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix $(PREFIX)
	@ninja -C $(BUILD)

demo: build
	@tools/deps demo
	@tools/demo --build $(BUILD)

check:
	@tools/deps build check
	@tools/check --build $(BUILD)/check

bench: build
	@tools/deps demo bench
	@tools/bench --build $(BUILD)

# SIZE=MiB (largest download of one source package), ONLY="SOURCE ...", JOBS=N, LIVE=no
corpus: build
	@tools/deps demo corpus
	@tools/corpus --build $(BUILD) $(if $(SIZE),--size $(SIZE)) $(if $(JOBS),--jobs $(JOBS)) \
		$(if $(filter no,$(LIVE)),--no-live) $(ONLY)

# Only the running software of the corpus: ONLY="nginx redis"
live: build
	@tools/deps demo corpus
	@tools/corpus --build $(BUILD) --only-live $(ONLY)

agreement: build
	@tools/deps check
	@tests/agreement/run.sh

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
	@clang-format -i $$(git ls-files 'src/*.[ch]' 'bench/*.[ch]' 'tests/*.[ch]')

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD)
