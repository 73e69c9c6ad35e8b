# SPDX-License-Identifier: Apache-2.0
# make check   all tests: units, end to end on the real kernel; lint of what is not committed yet
# make asan    the same tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer
# make soak    500 rounds of test_faults: kills, cuts and full disks at random moments (SOAK_ROUNDS=N)
# make fuzz    every fuzz target for FUZZ_SECONDS
# make lint    cppcheck and clang-tidy

.PHONY: soak test-deps test-programs unit-tests lint-changed

FUZZ_SECONDS ?= 20
SOAK_ROUNDS ?= 500

test-deps:
	@scripts/deps.sh test

unit-tests: $(UNIT_BIN)
test-programs: all test-targets unit-tests

# Redis, for its debug information: built once from the distribution's source package.
REDIS_SRC = $(BUILD)/redis-src/.built
$(REDIS_SRC): tests/e2e/redis_source.sh bench/real-fix/fixes | test-deps
	@echo "  REDIS $(@D)"
	@tests/e2e/redis_source.sh $(@D)

KERNEL_TESTS := $(if $(filter-out 0,$(PLUMB_NO_KERNEL)),,yes)

# What drives the dashboard in Chromium.
BROWSER_TESTS = $(BUILD)/npm-test/.installed
$(BROWSER_TESTS): | test-deps
	@mkdir -p $(@D)
	@echo "  NPM  playwright-core axe-core"
	@npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix $(@D) playwright-core@1.65.0 axe-core@4.11 >/dev/null
	@touch $@

check: test-deps test-programs lint-changed $(if $(KERNEL_TESTS),$(REDIS_SRC) $(BROWSER_TESTS))
	tests/run --build $(BUILD)

soak: test-deps test-programs
	PLUMB_FAULT_ROUNDS=$(SOAK_ROUNDS) tests/run --build $(BUILD) --e2e test_faults

# The programs to probe have no sanitizers: they stand for other people's.
asan: test-deps test-targets $(if $(KERNEL_TESTS),$(REDIS_SRC) $(BROWSER_TESTS))
	+$(MAKE) --no-print-directory BUILD=$(BUILD)-asan SANITIZE=1 all unit-tests
	ln -sfn ../$(BUILD)/npm-test $(BUILD)-asan/npm-test
	tests/run --build $(BUILD)-asan --targets $(BUILD)/targets --sanitized

# ---- fuzzing: all at once, as many as there are processors ----
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@echo $(FUZZERS) | tr ' ' '\n' | xargs -P $$(nproc) -I{} tests/fuzz/run $(BUILD) {} $(FUZZ_SECONDS)

# ---- lint: a file is looked at again when it, a header or the rules have changed ----
LINT_SRC  := $(wildcard agent/*.c cli/*.c collector/*.c common/*.c verdict/*.c verify/*.c)
LINT_FLAGS = $(filter-out -Werror,$(CPPFLAGS)) -std=gnu11 -Icli -Icollector
LINT_TIDY  = $(LINT_SRC:%.c=$(BUILD)/lint/%.tidy)

LINT_CHANGED = $(filter $(LINT_SRC),$(shell git diff --name-only HEAD 2>/dev/null; git ls-files --others --exclude-standard 2>/dev/null))

lint: test-deps $(BUILD)/lint/cppcheck $(BUILD)/lint/fuzz $(LINT_TIDY)
lint-changed: test-deps $(BUILD)/lint/cppcheck $(BUILD)/lint/fuzz $(LINT_CHANGED:%.c=$(BUILD)/lint/%.tidy)

$(BUILD)/lint/%.tidy: %.c .clang-tidy $(SKEL) $(SCHEMAS) $(wildcard agent/*.h cli/*.h collector/*.h common/*.h verdict/*.h verify/*.h include/plumb/*.h) | test-deps
	@mkdir -p $(@D)
	@echo "  TIDY $<"
	@clang-tidy-19 --quiet $< -- $(LINT_FLAGS) >$@.out 2>&1 || { cat $@.out; exit 1; }
	@mv $@.out $@

# Fuzz targets take minutes to build: that they still fit what they feed is seen without that.
$(BUILD)/lint/fuzz: $(wildcard tests/fuzz/*.c tests/unit/*.h agent/*.h cli/*.h collector/*.h common/*.h verdict/*.h verify/*.h include/plumb/*.h) | test-deps
	@mkdir -p $(@D)
	@echo "  FUZZ -fsyntax-only"
	@clang-19 -fsyntax-only $(LINT_FLAGS) -Itests/unit $(wildcard tests/fuzz/*.c)
	@touch $@

$(BUILD)/lint/cppcheck: $(LINT_SRC) $(wildcard agent/*.h cli/*.h collector/*.h common/*.h verdict/*.h verify/*.h include/plumb/*.h) tests/lint/cppcheck.h | test-deps
	@mkdir -p $(@D)/cppcheck-state
	@echo "  CPPCHECK"
	@cppcheck --quiet -j $$(nproc) --cppcheck-build-dir=$(@D)/cppcheck-state --std=c11 --enable=warning,performance,portability \
		--inline-suppr --include=tests/lint/cppcheck.h --error-exitcode=1 -D_GNU_SOURCE -D__x86_64__ \
		-Iinclude -Icommon -Iagent -Iverdict -Iverify -Icli -Icollector $(LINT_SRC) >$@.out 2>&1 || { cat $@.out; exit 1; }
	@touch $@
