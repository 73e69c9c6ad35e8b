# SPDX-License-Identifier: Apache-2.0
# The programs that tests and the demo probe.  They are built as users build theirs: without the flags, the warnings and
# the sanitizers of plumb itself, except for the warnings.
#
# TARGET_BIN: all of them, below $(BUILD)/targets

TARGET_DIR    := $(BUILD)/targets
TARGET_CC     ?= gcc
TARGET_CLANG  ?= clang-19
TARGET_CFLAGS := -std=gnu11 -g -D_GNU_SOURCE -pthread -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
                 -Wmissing-prototypes -Wno-unused-parameter

# ---- exact, in variants: $(call exact_variant,name,compiler,compile flags,link flags) ----
EXACT_SRC := exact exact_take exact_give exact_flow exact_step exact_step_take
define exact_variant
$(TARGET_DIR)/obj-$(1)/%.o: tests/targets/%.c
	@mkdir -p $$(@D)
	$(2) $(TARGET_CFLAGS) $(3) -MMD -MP -c -o $$@ $$<
$(TARGET_DIR)/exact-$(1): $(EXACT_SRC:%=$(TARGET_DIR)/obj-$(1)/%.o)
	$(2) -pthread $(4) -o $$@ $$^
TARGET_BIN += $(TARGET_DIR)/exact-$(1)
endef

$(eval $(call exact_variant,gcc-O0,$(TARGET_CC),-O0 -fPIE,-pie))
$(eval $(call exact_variant,gcc-O2,$(TARGET_CC),-O2 -fPIE,-pie))
$(eval $(call exact_variant,gcc-O2-nopie,$(TARGET_CC),-O2 -fno-pie,-no-pie))
$(eval $(call exact_variant,clang-O0,$(TARGET_CLANG),-O0 -fPIE,-pie))
$(eval $(call exact_variant,clang-O2,$(TARGET_CLANG),-O2 -fPIE,-pie))

# ---- lines, in variants and in two versions ----
define lines_variant
$(TARGET_DIR)/lines-$(1): tests/targets/lines.c tests/targets/lines_note.c tests/targets/lines.h
	@mkdir -p $$(@D)
	$(2) $(TARGET_CFLAGS) $(3) -Wl,--build-id=sha1 -o $$@ tests/targets/lines.c tests/targets/lines_note.c
TARGET_BIN += $(TARGET_DIR)/lines-$(1)
endef

$(eval $(call lines_variant,gcc-O0,$(TARGET_CC),-O0))
$(eval $(call lines_variant,gcc-O2,$(TARGET_CC),-O2))
$(eval $(call lines_variant,gcc-O2-v2,$(TARGET_CC),-O2 -DVERSION=2))
$(eval $(call lines_variant,clang-O0,$(TARGET_CLANG),-O0))
$(eval $(call lines_variant,clang-O2,$(TARGET_CLANG),-O2))

# Without debug information, but with the names that a dynamic linker needs.
$(TARGET_DIR)/exact-stripped: $(EXACT_SRC:%=$(TARGET_DIR)/obj-gcc-O2/%.o)
	$(TARGET_CC) -pthread -pie -rdynamic -s -o $@ $^

# Debug information in a file beside it: found by debuglink, and by build-id if it is installed under that name.
$(TARGET_DIR)/exact-split: $(EXACT_SRC:%=$(TARGET_DIR)/obj-gcc-O2/%.o)
	$(TARGET_CC) -pthread -pie -Wl,--build-id=sha1 -o $@.whole $^
	objcopy --only-keep-debug $@.whole $@.debug
	objcopy --strip-debug --strip-unneeded --add-gnu-debuglink=$@.debug $@.whole $@
	rm -f $@.whole
$(TARGET_DIR)/exact-split.debug: $(TARGET_DIR)/exact-split ;
TARGET_BIN += $(TARGET_DIR)/exact-stripped $(TARGET_DIR)/exact-split $(TARGET_DIR)/exact-split.debug

# ---- the others, as a distribution builds: gcc -O2 -g ----
$(TARGET_DIR)/obj/%.o: tests/targets/%.c
	@mkdir -p $(@D)
	$(TARGET_CC) $(TARGET_CFLAGS) -O2 -fPIC -MMD -MP -c -o $@ $<

ORDERD_SRC := $(wildcard tests/targets/orderd/*.c)
$(TARGET_DIR)/orderd: $(ORDERD_SRC:tests/targets/%.c=$(TARGET_DIR)/obj/%.o)
	$(TARGET_CC) -pthread -o $@ $^
# The service with one of its fixes (orderd/fixes says what they are): $(TARGET_DIR)/orderd-v2/orderd, ... Its sources are patched
# copies whose paths end as those of the originals, so that the diff is what plumb verify gets.
ORDERD_FIXES := 2 3 4 5 6
define orderd_fix
$(TARGET_DIR)/orderd-v$(1)/orderd: $(ORDERD_SRC) $(wildcard tests/targets/orderd/*.h) tests/targets/orderd/fixes/v$(1).diff
	rm -rf $$(@D) && mkdir -p $$(@D)/tests/targets/orderd
	cp $$(filter %.c %.h,$$^) $$(@D)/tests/targets/orderd
	patch --quiet -d $$(@D) -p1 <tests/targets/orderd/fixes/v$(1).diff
	cd $$(@D) && $(TARGET_CC) $(TARGET_CFLAGS) -O2 -fPIC -o orderd tests/targets/orderd/*.c
TARGET_BIN += $(TARGET_DIR)/orderd-v$(1)/orderd
endef
$(foreach v,$(ORDERD_FIXES),$(eval $(call orderd_fix,$(v))))

$(TARGET_DIR)/orderload $(TARGET_DIR)/busy $(TARGET_DIR)/execer $(TARGET_DIR)/many $(TARGET_DIR)/errors: $(TARGET_DIR)/%: $(TARGET_DIR)/obj/%.o
	$(TARGET_CC) -pthread -o $@ $^
$(TARGET_DIR)/libshared.so: $(TARGET_DIR)/obj/libshared.o
	$(TARGET_CC) -shared -Wl,-soname,libshared.so -o $@ $^
$(TARGET_DIR)/uselib: $(TARGET_DIR)/obj/uselib.o $(TARGET_DIR)/libshared.so
	$(TARGET_CC) -o $@ $< -L$(TARGET_DIR) -lshared -Wl,-rpath,'$$ORIGIN' -ldl
$(TARGET_DIR)/libclock.so: $(TARGET_DIR)/obj/libclock.o
	$(TARGET_CC) -shared -o $@ $^
# Does not depend on the library: it comes by dlopen only.
$(TARGET_DIR)/obj/uselib-late.o: tests/targets/uselib.c
	@mkdir -p $(@D)
	$(TARGET_CC) $(TARGET_CFLAGS) -O2 -fPIC -DUSELIB_LATE -MMD -MP -c -o $@ $<
$(TARGET_DIR)/uselib-late: $(TARGET_DIR)/obj/uselib-late.o $(TARGET_DIR)/libshared.so
	$(TARGET_CC) -o $@ $< -Wl,-rpath,'$$ORIGIN' -ldl
TARGET_BIN += $(TARGET_DIR)/orderd $(TARGET_DIR)/orderload $(TARGET_DIR)/busy $(TARGET_DIR)/execer $(TARGET_DIR)/many $(TARGET_DIR)/errors $(TARGET_DIR)/libshared.so $(TARGET_DIR)/libclock.so $(TARGET_DIR)/uselib $(TARGET_DIR)/uselib-late

# ---- programs of one file with and without a fix: $(call fixed,directory,file,compiler,language flags,fixes) makes directory/plain and
# directory/FIX. Those with a fix are patched copies, as above. ----
TARGET_CXX      ?= g++
TARGET_CXXFLAGS := -std=c++17 -g -O2 -Wall -Wextra -Werror -Wshadow
define fixed_build
$(TARGET_DIR)/$(1)/$(5): tests/targets/$(1)/$(2) $(wildcard tests/targets/$(1)/fixes/$(5).diff)
	rm -rf $$@.src && mkdir -p $$@.src/tests/targets/$(1)
	cp $$< $$@.src/tests/targets/$(1)
	$(if $(filter-out plain,$(5)),patch --quiet -d $$@.src -p1 <tests/targets/$(1)/fixes/$(5).diff)
	cd $$@.src && $(3) $(4) -Wl,--build-id=sha1 -o ../$(5) tests/targets/$(1)/$(2)
TARGET_BIN += $(TARGET_DIR)/$(1)/$(5)
endef
fixed = $(foreach fix,plain $(5),$(eval $(call fixed_build,$(1),$(2),$(3),$(4),$(fix))))

$(call fixed,pair,pair.c,$(TARGET_CC),$(TARGET_CFLAGS) -O2,renamed unused hot crash)
$(call fixed,shop,shop.cc,$(TARGET_CXX),$(TARGET_CXXFLAGS),v2)

test-targets: $(TARGET_BIN)
