# SPDX-License-Identifier: Apache-2.0
# make check | make asan | make fuzz | make lint

.PHONY: test-deps check-programs test-lint

test-deps:
	@scripts/deps.sh test

# Everything that a test runs. Redis is built from Debian's source package, once, for its debug information.
check-programs: test-deps all test-targets $(UNIT_BIN)

REDIS_SRC = $(BUILD)/redis-src/.built
$(REDIS_SRC): tests/e2e/redis_source.sh | test-deps
	tests/e2e/redis_source.sh $(BUILD)/redis-src

check: check-programs $(if $(filter-out 0,$(PLUMB_NO_KERNEL)),,$(REDIS_SRC)) test-lint
	tests/run --build $(BUILD)

# The same tests on a build with sanitizers. The programs to probe have none: they stand for other people's.
asan: check $(REDIS_SRC)
	+$(MAKE) BUILD=$(BUILD)-asan SANITIZE=1 asan-programs
	tests/run --build $(BUILD)-asan --targets $(BUILD)/targets --sanitized
