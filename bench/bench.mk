# SPDX-License-Identifier: Apache-2.0
# make bench [QUICK=1] [BENCH_ONLY="entry call"]: plumb beside its peers, see bench/README.md
# make bench-aa [AA_SECONDS=600]: one build as both arms of plumb verify, ten minutes
# make bench-check: what does not depend on the machine, against bench/baseline.json

BENCH     := $(BUILD)/bench
BENCH_CC  := $(CC) -std=gnu11 -O2 -g -D_GNU_SOURCE -pthread $(WARN) -Ibench
# What decides the first instruction; all other flags are Debian's defaults.
PROBED_PUSH  := -fcf-protection=none -DPROBED_SAVES -DPROBED=f_push
PROBED_ENDBR := -fcf-protection=full -DPROBED_SAVES -DPROBED=f_endbr
PROBED_SUB   := -fno-stack-protector -fcf-protection=none -DPROBED_ROOM -DPROBED=f_sub
PROBED_NOP5  := -fcf-protection=none -fpatchable-function-entry=5 -DPROBED=f_nop5

BENCH_BIN := $(BENCH)/target $(BENCH)/target-many $(BENCH)/caller $(BENCH)/realfns $(BENCH)/direct $(BENCH)/site_census $(BENCH)/site_costs $(BENCH)/verdict_sim $(BENCH)/flood $(BENCH)/rollups

.PHONY: bench bench-aa bench-check bench-programs

$(BENCH)/probed_push.o: bench/probed.c bench/probed.h
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(PROBED_PUSH) -c -o $@ $<
$(BENCH)/probed_endbr.o: bench/probed.c bench/probed.h
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(PROBED_ENDBR) -c -o $@ $<
$(BENCH)/probed_sub.o: bench/probed.c bench/probed.h
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(PROBED_SUB) -c -o $@ $<
$(BENCH)/probed_nop5.o: bench/probed.c bench/probed.h
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) -std=gnu11 -O2 -g -D_GNU_SOURCE -Ibench $(PROBED_NOP5) -c -o $@ $<
$(BENCH)/target: bench/target.c bench/probed.h $(BENCH)/probed_push.o $(BENCH)/probed_endbr.o $(BENCH)/probed_sub.o $(BENCH)/probed_nop5.o
	$(call say,LINK,$@)
	$(Q)$(BENCH_CC) -o $@ $(filter %.c %.o,$^)

$(BENCH)/target-many: bench/target.c bench/many.S $(BENCH)/target
	$(call say,LINK,$@)
	$(Q)$(BENCH_CC) -o $@ bench/target.c bench/many.S $(BENCH)/probed_push.o $(BENCH)/probed_endbr.o $(BENCH)/probed_sub.o $(BENCH)/probed_nop5.o
$(BENCH)/caller $(BENCH)/realfns: $(BENCH)/%: bench/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(BENCH_CC) -o $@ $< -ldl

# For the yardsticks that must be compiled in; built by the questions that use them.
$(BENCH)/target-pg: bench/target.c bench/probed.c bench/probed.h
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) -DONE_FUNCTION -c -o $@.o bench/target.c
	$(Q)$(BENCH_CC) $(PROBED_PUSH) -pg -c -o $@-probed.o bench/probed.c
	$(Q)$(BENCH_CC) -pg -o $@ $@.o $@-probed.o
$(BENCH)/target-lttng: bench/target.c bench/probed.c bench/probed.h bench/lttng_tp.c bench/lttng_tp.h
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) -DONE_FUNCTION -c -o $@.o bench/target.c
	$(Q)$(BENCH_CC) $(PROBED_PUSH) -DPROBED_LTTNG -c -o $@-probed.o bench/probed.c
	$(Q)$(BENCH_CC) -w -c -o $@-tp.o bench/lttng_tp.c
	$(Q)$(BENCH_CC) -o $@ $@.o $@-probed.o $@-tp.o -llttng-ust -ldl

$(BENCH)/verdict_sim: bench/verdict_sim.c $(wildcard tests/unit/verdict_*.h) $(VERDICT_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) $(LDFLAGS) -o $@ $< $(VERDICT_LIB) $(COMMON_LIB) -lmsgpackc -lm

$(BENCH)/direct: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BENCH)/%: bench/%.c $(AGENT_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(AGENT_LIB) $(COMMON_LIB) $(AGENT_LIBS)

bench-programs: $(BENCH_BIN)

# For the questions about plumb verify: an order service and its traffic.
AA_TARGETS := $(BUILD)/targets/orderd $(BUILD)/targets/orderload
AA_SECONDS ?= 600

bench-aa: all $(AA_TARGETS)
	@mkdir -p $(BENCH)
	@AA_SECONDS=$(AA_SECONDS) python3 bench/run.py --build $(BUILD) --out aa aa

bench: all bench-programs $(AA_TARGETS)
	@bench/deps.sh $(if $(QUICK),quick,full)
	$(if $(QUICK),,@$(MAKE) --no-print-directory -k BUILD=$(BUILD) $(BENCH)/target-pg $(BENCH)/target-lttng || echo "bench: a yardstick is left out" >&2)
	@python3 bench/run.py --build $(BUILD) $(if $(QUICK),--quick) $(BENCH_ONLY)

bench-check: all $(BENCH)/target $(BENCH)/direct $(BENCH)/site_census
	@python3 bench/check.py --build $(BUILD)

# The collector alone: bench/ingest.c; a store to be asked: bench/rollups.c.
$(BENCH)/ingest $(BENCH)/rollups: $(BENCH)/%: bench/%.c $(COLLECTOR_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) $(COLLECTOR_CPPFLAGS) -Itests/unit $(CFLAGS) $(LDFLAGS) -o $@ $< $(COLLECTOR_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB) $(COLLECTOR_LIBS)
