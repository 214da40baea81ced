# kvglass: make help lists what can be made.

VERSION := 0.1.0
config  ?= release
werror  ?= 1

# Debian packages, the one list that README, demo and CI use (make packages prints it).
PACKAGES := build-essential pkg-config python3 python3-pip curl unzip ca-certificates \
	libdnnl-dev libjansson-dev nettle-dev libpcre2-dev libutf8proc-dev libncurses-dev ncurses-term \
	libpng-dev libcairo2-dev libpango1.0-dev fonts-dejavu-core tmux

BUILD := build/$(config)
PKGS  := jansson nettle libpcre2-8 libutf8proc ncursesw libpng cairo pangocairo

WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
	-Wpointer-arith -Wcast-align -Wwrite-strings -Wimplicit-fallthrough
ifeq ($(werror),1)
WARN += -Werror
endif
CPPFLAGS += -I. -D_GNU_SOURCE -DKVGLASS_VERSION='"$(VERSION)"' $(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null | sed 's/-I/-isystem /g')
CFLAGS   += -std=c17 -g -fno-strict-aliasing -ffp-contract=off $(WARN)
LDLIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ldnnl -lgomp -lm -lpthread

ifeq ($(config),release)
CFLAGS += -O2
else ifeq ($(config),debug)
CFLAGS += -O0
else ifeq ($(config),asan)
CFLAGS += -O1 -fsanitize=address -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address
else ifeq ($(config),ubsan)
CFLAGS += -O1 -fsanitize=undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=undefined
else ifeq ($(config),tsan)
CFLAGS += -O1 -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(config),coverage)
CFLAGS += -O0 --coverage
LDFLAGS += --coverage
else ifeq ($(config),fuzz)
CC := clang
CFLAGS += -O1 -fsanitize=address,undefined,fuzzer-no-link
LDFLAGS += -fsanitize=address,undefined
else
$(error config=$(config) is not one of release debug asan ubsan tsan coverage fuzz)
endif

HOUSES := engine analysis export tui
sources = $(filter-out %_fuzz.c,$(wildcard $(1)/*.c $(1)/*/*.c $(1)/*/*/*.c))
# Kernels in engine/cpu/simd are compiled once per instruction set; the fitting table is chosen at run time.
SIMD_SRC := $(wildcard engine/cpu/simd/*.c)
SIMD_baseline :=
SIMD_avx2     := -mavx2 -mfma -mf16c
SIMD_avx512   := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
LIB_SRC  := $(filter-out $(SIMD_SRC) tui/main.c,$(foreach h,$(HOUSES),$(call sources,$(h))))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(foreach s,baseline avx2 avx512,$(SIMD_SRC:%.c=$(BUILD)/%.$(s).o))
TEST_SRC := $(wildcard tests/support/*.c tests/*/*_test.c tests/*_test.c)
TEST_OBJ := $(TEST_SRC:%.c=$(BUILD)/%.o)
FUZZ_SRC := $(foreach h,$(HOUSES),$(wildcard $(h)/*_fuzz.c $(h)/*/*_fuzz.c))

.PHONY: all help test unit check-includes packages clean
all: build/kvglass ## build the program (default)

build/kvglass: $(BUILD)/kvglass
	@ln -sf $(config)/kvglass $@

$(BUILD)/kvglass: $(BUILD)/tui/main.o $(BUILD)/libkvglass.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libkvglass.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define simd_rule
$(BUILD)/engine/cpu/simd/%.$(1).o: engine/cpu/simd/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(CFLAGS) -O3 -ffp-contract=fast $$(SIMD_$(1)) -DSIMD_NAME=$(1) -DSIMD_$(1)=1 -MMD -MP -c -o $$@ $$<
endef
$(foreach s,baseline avx2 avx512,$(eval $(call simd_rule,$(s))))

$(BUILD)/tests/%.o: CPPFLAGS += -DKVGLASS_TREE='"$(CURDIR)"'

$(BUILD)/tests/run: $(TEST_OBJ) $(BUILD)/libkvglass.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

test: unit check-includes ## every test

unit: $(BUILD)/tests/run $(BUILD)/kvglass ## unit tests; only=SUITE chooses
	$(BUILD)/tests/run $(only)

# one fuzzing binary per parser: make config=fuzz build/fuzz/engine/file/gguf_fuzz
$(BUILD)/%_fuzz: %_fuzz.c $(BUILD)/libkvglass.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)

check-includes: ## who may know whom
	@tests/check-includes

packages: ## Debian packages that the build needs
	@echo $(PACKAGES)

clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

-include $(LIB_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(BUILD)/tui/main.d
