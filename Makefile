# SPDX-License-Identifier: Apache-2.0
# plumb: see inside running services.   make | make demo | make check | make install
#
#   BUILD=dir      where everything is built (default: build)
#   SANITIZE=1     AddressSanitizer and UndefinedBehaviorSanitizer (make asan uses it)

BUILD   ?= build
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
ifeq ($(origin CC),default)
CC := gcc
endif
BPF_CLANG ?= clang-19
BPFTOOL ?= $(shell command -v bpftool 2>/dev/null || echo /usr/sbin/bpftool)
VERSION := 0.1.0
# All processors, unless the caller says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
# V=1 shows whole commands
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' '$(1)' '$(2)')

# make demo, make check and friends install what the build needs, before anything is compiled.
ifneq ($(filter-out clean install,$(or $(MAKECMDGOALS),all)),)
ifndef PLUMB_DEPS_DONE
DEPS := $(shell scripts/deps.sh >&2 && echo ok)
ifneq ($(DEPS),ok)
$(error the build's dependencies are missing, see above)
endif
export PLUMB_DEPS_DONE = 1
endif
endif

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
CPPFLAGS += -D_GNU_SOURCE -DPLUMB_VERSION='"$(VERSION)"' -DPLUMB_SBINDIR='"$(SBINDIR)"' \
            -Iinclude -Icommon -Iagent -Iverdict -Iverify -I$(BUILD)
COLLECTOR_CPPFLAGS := -Icollector
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -fno-strict-aliasing -fstack-protector-strong $(WARN)
ifeq ($(SANITIZE),1)
CFLAGS   += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=address,undefined
endif
LDFLAGS  += -Wl,--as-needed -Wl,-z,relro,-z,now
DAEMON_LIBS = -lcyaml -lseccomp -lcap-ng -lsystemd
AGENT_LIBS = -lbpf -lelf -ldw -lz -ldeflate -liberty -lZydis -levent -levent_openssl -lssl -lcrypto -lmsgpackc $(DAEMON_LIBS)
CLI_LIBS   = -lmsgpackc -lssl -lcrypto -lz -ldeflate -ljansson -lcyaml -lm
COLLECTOR_LIBS = -levent -levent_openssl -lssl -lcrypto -lsqlite3 -lmsgpackc -lz -ldeflate -ljansson -lm $(DAEMON_LIBS)

src = $(wildcard $(1)/*.c)
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
COMMON_OBJ := $(call obj,$(call src,common))
AGENT_OBJ  := $(call obj,$(call src,agent))
CLI_OBJ    := $(call obj,$(call src,cli))
COLLECTOR_OBJ := $(call obj,$(call src,collector))
VERDICT_OBJ := $(call obj,$(call src,verdict))
VERIFY_OBJ := $(call obj,$(call src,verify))
AGENT_LIB  := $(BUILD)/libagent.a
CLI_LIB    := $(BUILD)/libcli.a
COLLECTOR_LIB := $(BUILD)/libcollector.a
COMMON_LIB := $(BUILD)/libcommon.a
# Statistics of plumb verify: no I/O, needs common and -lmsgpackc -lm
VERDICT_LIB := $(BUILD)/libverdict.a
VERIFY_LIB := $(BUILD)/libverify.a
SKEL       := $(BUILD)/probe.skel.h

.PHONY: all check demo demo-quick bench asan fuzz lint install clean deps test-targets
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/plumbd $(BUILD)/plumb $(BUILD)/plumb-collector

deps: ;

# ---- programs ----
$(BUILD)/plumbd: $(BUILD)/agent/main.o $(AGENT_LIB) $(COMMON_LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(BUILD)/plumb: $(BUILD)/cli/main.o $(CLI_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CLI_LIBS)

$(BUILD)/plumb-collector: $(BUILD)/collector/main.o $(COLLECTOR_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(COLLECTOR_LIBS)

$(AGENT_LIB): $(filter-out $(BUILD)/agent/main.o,$(AGENT_OBJ))
$(CLI_LIB): $(filter-out $(BUILD)/cli/main.o,$(CLI_OBJ))
$(COLLECTOR_LIB): $(filter-out $(BUILD)/collector/main.o,$(COLLECTOR_OBJ))
$(COMMON_LIB): $(COMMON_OBJ)
$(VERDICT_LIB): $(VERDICT_OBJ)
$(VERIFY_LIB): $(VERIFY_OBJ)
%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The store's schema and its later steps, as texts in the program: schema_sql, schema_2_sql, ...
SCHEMAS := $(patsubst collector/%.sql,$(BUILD)/%.h,$(wildcard collector/schema*.sql))
$(SCHEMAS): $(BUILD)/%.h: collector/%.sql Makefile
	@mkdir -p $(@D)
	$(Q){ echo 'static const char $*_sql[] ='; sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $<; echo ';'; } > $@
$(BUILD)/collector/%.o: CPPFLAGS += $(COLLECTOR_CPPFLAGS)
$(BUILD)/collector/store.o: $(SCHEMAS)

# The dashboard: its files as they are, and uPlot from npm, in the program.
UPLOT     := uplot@1.6.32
DASHBOARD := $(BUILD)/dashboard
PAGE      := $(wildcard collector/dashboard/*)
$(DASHBOARD)/uPlot.iife.min.js:
	@mkdir -p $(@D)
	$(call say,NPM,$(UPLOT))
	$(Q)npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix $(BUILD)/npm $(UPLOT) >/dev/null
	$(Q)cp $(BUILD)/npm/node_modules/uplot/dist/uPlot.min.css $(@D)
	$(Q)cp $(BUILD)/npm/node_modules/uplot/dist/uPlot.iife.min.js $@
$(DASHBOARD)/.copied: $(PAGE)
	@mkdir -p $(@D)
	$(Q)cp $(PAGE) $(@D) && touch $@
$(BUILD)/collector/assets.o: CFLAGS += -Wa,-I$(DASHBOARD)
$(BUILD)/collector/assets.o: $(DASHBOARD)/.copied $(DASHBOARD)/uPlot.iife.min.js

# ---- the BPF object: one source, loaded once per probe with its own plan ----
BPF_ARCH_INCLUDE := -I/usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
$(BUILD)/probe.bpf.o: bpf/probe.bpf.c $(wildcard bpf/*.h) include/plumb/event.h
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(BPF_CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -Ibpf $(BPF_ARCH_INCLUDE) -c -o $@ $<
$(SKEL): $(BUILD)/probe.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name probe_bpf > $@
$(BUILD)/agent/loader.o $(BUILD)/agent/loader_pattern.o $(BUILD)/agent/loader_program.o $(BUILD)/agent/loader_values.o: $(SKEL)

# ---- tests ----
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
# What the collector's tests link; they are named test_collector_*.
$(BUILD)/unit/test_collector_%: tests/unit/test_collector_%.c $(COLLECTOR_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) $(COLLECTOR_CPPFLAGS) -Itests/unit -DTEST_BUILD='"$(BUILD)"' $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(COLLECTOR_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB) -lcmocka $(COLLECTOR_LIBS)
$(BUILD)/unit/%: tests/unit/%.c $(AGENT_LIB) $(CLI_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) -Icli -Itests/unit -DTEST_BUILD='"$(BUILD)"' $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(AGENT_LIB) $(CLI_LIB) $(VERIFY_LIB) $(VERDICT_LIB) $(COMMON_LIB) -lcmocka $(AGENT_LIBS) $(CLI_LIBS)

-include tests/targets/targets.mk
-include tests/tests.mk
-include bench/bench.mk

FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
$(BUILD)/fuzz/%: tests/fuzz/%.c $(filter-out agent/main.c agent/loader.c,$(wildcard agent/*.c)) $(wildcard common/*.c verdict/*.c verify/*.c)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)clang-19 $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-strict-aliasing -o $@ $< \
		$(shell sed -n 's/^ \* fuzz-sources: //p' tests/fuzz/$*.c) $(AGENT_LIBS) -ljansson

# ---- installation ----
install: all
	install -D -m 755 $(BUILD)/plumb $(DESTDIR)$(BINDIR)/plumb
	install -D -m 755 $(BUILD)/plumbd $(DESTDIR)$(SBINDIR)/plumbd
	install -D -m 755 $(BUILD)/plumb-collector $(DESTDIR)$(SBINDIR)/plumb-collector
	for m in docs/man/*.1; do install -D -m 644 $$m $(DESTDIR)$(MANDIR)/man1/$${m##*/}; done
	for m in docs/man/*.8; do install -D -m 644 $$m $(DESTDIR)$(MANDIR)/man8/$${m##*/}; done
	install -D -m 644 scripts/plumb.bash-completion $(DESTDIR)$(COMPDIR)/plumb
	install -d $(DESTDIR)$(UNITDIR)
	for u in plumbd plumb-collector; do sed 's|@SBINDIR@|$(SBINDIR)|' scripts/$$u.service > $(DESTDIR)$(UNITDIR)/$$u.service && \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$u.service; done
	for f in plumbd collector; do test -e $(DESTDIR)/etc/plumb/$$f.yaml || install -D -m 644 scripts/$$f.yaml $(DESTDIR)/etc/plumb/$$f.yaml; done

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name redis-src -prune -o -type f -name '*.d' -print 2>/dev/null)

# ---- the demo ----
demo: DEMO_VERSIONS := 2 3 4 5 5-quiet
demo-quick: DEMO_VERSIONS := 2 3
demo demo-quick: all $(addprefix $(BUILD)/targets/,orderd orderload orderd-v2/orderd orderd-v3/orderd orderd-v4/orderd orderd-v5/orderd)
	@scripts/demo.sh $(BUILD) $(DEMO_VERSIONS)
