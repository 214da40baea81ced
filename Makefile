# kvglass: make help lists what can be made.

VERSION := 0.1.0
config  ?= release
werror  ?= 1
V       ?= 0
PREFIX  ?= /usr/local
CUDA    ?= auto

# Debian packages, the one list that README, demo and CI use (make packages prints it).
PACKAGES := gcc g++ libc6-dev make pkg-config python3 python3-pip ca-certificates \
	libdnnl-dev libjansson-dev nettle-dev libpcre2-dev libutf8proc-dev libncurses-dev ncurses-term \
	libpng-dev zlib1g-dev libcairo2-dev libpango1.0-dev fonts-dejavu-core fonts-droid-fallback tmux poppler-utils

BUILD := build/$(config)
PKGS  := jansson nettle libpcre2-8 libutf8proc ncursesw libpng zlib cairo pangocairo pangoft2 fontconfig

# As many jobs as there are cores, unless the command line or an outer make says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
MAKEFLAGS += --no-print-directory

# The sample model's cache and the tests need a place even where there is no home (some CI machines).
ifeq ($(HOME)$(XDG_CACHE_HOME),)
export XDG_CACHE_HOME := $(CURDIR)/build/cache
endif

WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
	-Wpointer-arith -Wcast-align -Wwrite-strings -Wimplicit-fallthrough
ifeq ($(werror),1)
WARN += -Werror
endif
CPPFLAGS += -I. -D_GNU_SOURCE -DKVGLASS_VERSION='"$(VERSION)"' $(subst -I,-isystem ,$(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null))
CFLAGS   += -std=c17 -g -fno-strict-aliasing -ffp-contract=off $(WARN)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ldnnl -lgomp -lm -lpthread

ifeq ($(config),release)
CFLAGS += -O2
else ifeq ($(config),debug)
CFLAGS += -O0
else ifeq ($(config),asan)
CFLAGS  += -O1 -fsanitize=address -fno-omit-frame-pointer -Wno-format-truncation # the checks hide ranges from that warning
LDFLAGS += -fsanitize=address
else ifeq ($(config),ubsan)
CFLAGS  += -O1 -fsanitize=undefined -fno-sanitize-recover=all -Wno-format-truncation # as above
LDFLAGS += -fsanitize=undefined
else ifeq ($(config),tsan)
CFLAGS  += -O1 -fsanitize=thread -Wno-format-truncation # as above
LDFLAGS += -fsanitize=thread
else ifeq ($(config),coverage)
CFLAGS  += -O0 --coverage
LDFLAGS += --coverage
else ifeq ($(config),fuzz)
CC      := clang
CFLAGS  += -O1 -fsanitize=address,undefined,fuzzer-no-link
LDFLAGS += -fsanitize=address,undefined
else
$(error config=$(config) is not one of release debug asan ubsan tsan coverage fuzz)
endif

# ---- what this machine offers: one line each, printed when the first file is built; CUDA=0 never looks, CUDA=1 insists ----

comma    := ,
NVCC     ?= $(firstword $(wildcard $(addsuffix /bin/nvcc,$(CUDA_HOME))) $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
NVCC_VER := $(if $(NVCC),$(shell $(NVCC) --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p'))
ifeq ($(filter auto 0 1,$(CUDA)),)
$(error CUDA=$(CUDA) is not one of auto 0 1)
endif
ifeq ($(CUDA),0)
CUDA_STATE := off (CUDA=0)
else ifeq ($(and $(NVCC),$(NVCC_VER)),)
CUDA_STATE := off (no nvcc in NVCC, CUDA_HOME, PATH or /usr/local/cuda)
else
CUDA_ROOT  := $(patsubst %/bin/nvcc,%,$(NVCC))
CUDA_LACKS := $(strip $(foreach h,cuda_runtime_api.h cublas_v2.h,$(if $(wildcard $(CUDA_ROOT)/include/$(h)),,$(h))))
# Device code: 80 A100, 86 RTX 30 and A40, 89 RTX 40 and L4, 90 H100 and H200, 100 B200, as far as the toolkit knows them, and PTX of
# the newest for what comes later. CUDA_ARCH="90" builds for one.
CUDA_ARCH   ?= 80 86 89 90 100
CUDA_KNOWN  := $(shell $(NVCC) --list-gpu-code 2>/dev/null)
CUDA_BUILT  := $(foreach a,$(CUDA_ARCH),$(if $(filter sm_$(a),$(CUDA_KNOWN)),$(a)))
CUDA_NEWEST := $(lastword $(CUDA_BUILT))
CUDA_STATE := $(if $(CUDA_LACKS),off ($(NVCC) is there$(comma) $(CUDA_LACKS) in $(CUDA_ROOT)/include is not),toolkit $(NVCC_VER) ($(NVCC))$(if $(CUDA_BUILT), for sm $(CUDA_BUILT)))
CUDA_ON    := $(if $(CUDA_LACKS),,1)
endif
ifeq ($(CUDA)$(CUDA_ON),1)
$(error CUDA=1, but CUDA is $(CUDA_STATE))
endif

# ---- files ----

HOUSES := engine analysis export tui
sources = $(filter-out %_fuzz.c,$(wildcard $(1)/*.c $(1)/*/*.c $(1)/*/*/*.c))
# Kernels in engine/cpu/simd are compiled once per instruction set; the fitting table is chosen at run time.
SIMD_SRC := $(wildcard engine/cpu/simd/*.c)
SIMD_SETS := baseline $(if $(filter x86_64%,$(shell $(CC) -dumpmachine 2>/dev/null)),avx2 avx512 avx512_bf16)
SIMD_baseline :=
SIMD_avx2     := -mavx2 -mfma -mf16c
SIMD_avx512   := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
SIMD_avx512_bf16 := $(SIMD_avx512) -mavx512bf16
# Kernels are compiled by nvcc, once for all configurations; without it absent.c stands for the room.
# Those that take nvcc longest come first, so that a build of many jobs does not wait for one of them at its end.
CUDA_LONG   := $(wildcard $(addprefix engine/cuda/,attention_decode.cu matvec.cu attention.cu attention_f32.cu capture.cu capture_f32.cu unpack.cu))
CUDA_KERNEL := $(CUDA_LONG) $(filter-out $(CUDA_LONG),$(wildcard engine/cuda/*.cu))
CUDA_HOST   := $(filter-out engine/cuda/absent.c,$(wildcard engine/cuda/*.c))
CUDA_SRC    := $(if $(CUDA_ON),$(CUDA_HOST),engine/cuda/absent.c)
CUDA_OBJ    := $(CUDA_SRC:%.c=$(BUILD)/%.o) $(if $(CUDA_ON),$(CUDA_KERNEL:engine/cuda/%.cu=build/cuda/%.o))
ALL_SRC  := $(filter-out $(SIMD_SRC) tui/main.c engine/cuda/%,$(foreach h,$(HOUSES),$(call sources,$(h))))
ALL_OBJ  := $(ALL_SRC:%.c=$(BUILD)/%.o) $(foreach s,$(SIMD_SETS),$(SIMD_SRC:%.c=$(BUILD)/%.$(s).o))
LIB_OBJ  := $(ALL_OBJ) $(CUDA_OBJ)
TEST_SRC := $(filter-out tests/cuda/% tests/cudaemu/%,$(wildcard tests/support/*.c tests/*/*_test.c tests/*_test.c))
TEST_OBJ := $(TEST_SRC:%.c=$(BUILD)/%.o)
FUZZ_SRC := $(foreach h,$(HOUSES),$(wildcard $(h)/*_fuzz.c $(h)/*/*_fuzz.c $(h)/*/*/*_fuzz.c))

Q   := $(if $(filter 1,$(V)),,@)
say  = @printf '  %-5s %s\n' '$(1)' '$(2)'

.PHONY: sample-module all help demo test unit test-cudaemu test-simdemu test-gpu bench-gpu fuzz coverage golden packages install-packages model install clean man pictures check-includes check-docs demo-run test-run FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: build/kvglass ## build the program (default); config=debug|asan|ubsan|tsan|coverage|fuzz, V=1, CUDA=0

build/kvglass: $(BUILD)/kvglass
	@ln -sf $(config)/kvglass $@

$(BUILD)/kvglass: $(BUILD)/tui/main.o $(BUILD)/libkvglass.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libkvglass.a: $(LIB_OBJ)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define simd_rule
$(BUILD)/engine/cpu/simd/%.$(1).o: engine/cpu/simd/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$< ($(1)))
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -O3 $$(SIMD_$(1)) -DSIMD_NAME=$(1) -DSIMD_$(1)=1 -MMD -MP -c -o $$@ $$<
endef
$(foreach s,$(SIMD_SETS),$(eval $(call simd_rule,$(s))))

# ---- CUDA: by nvcc for devices, by the C++ compiler for the emulator of tests/cudaemu ----

# without guards of statics, which nvcc puts into what it generates, the program needs no C++ library; a file's architectures side by side
NVCCFLAGS += --threads 4 -std=c++17 -O3 -lineinfo -I. -Werror all-warnings -Xcompiler -Wall,-Wextra,-Werror,-fno-threadsafe-statics $(foreach a,$(CUDA_BUILT),-gencode arch=compute_$(a)$(comma)code=sm_$(a)) \
	$(if $(CUDA_NEWEST),-gencode arch=compute_$(CUDA_NEWEST)$(comma)code=compute_$(CUDA_NEWEST))
ifeq ($(CUDA_ON),1)
$(CUDA_SRC:%.c=$(BUILD)/%.o): CPPFLAGS += -isystem $(CUDA_ROOT)/include -DKVGLASS_CUDA_CODE='"$(addprefix sm_,$(CUDA_BUILT))"'
$(BUILD)/libkvglass.a: | build/cuda/size
LDLIBS += $(addprefix -L,$(wildcard $(CUDA_ROOT)/lib64 $(CUDA_ROOT)/lib)) -lcudart_static -ldl -lrt
endif

build/cuda/%.o: engine/cuda/%.cu build/cuda/flags
	$(call say,NVCC,$<)
	$(Q)$(NVCC) $(NVCCFLAGS) -MMD -MP -c -o $@ $<

# how much device code the program carries
build/cuda/size: $(CUDA_KERNEL:engine/cuda/%.cu=build/cuda/%.o)
	@size -A $^ | awk '$$1 == ".nv_fatbin" { n += $$2 } END { printf "%.1f MB for sm $(CUDA_BUILT), PTX for later ones\n", n / 1e6 }' >$@
	@printf '  %-5s %s\n' CUDA "$$(cat $@)"

CUDA_BUILT_WITH := $(NVCC_VER) $(NVCC) $(NVCCFLAGS)
build/cuda/flags: export CUDA_BUILT_WITH := $(CUDA_BUILT_WITH)
build/cuda/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$CUDA_BUILT_WITH" | cmp -s - $@ || printf '%s\n' "$$CUDA_BUILT_WITH" >$@

EMU      := $(BUILD)/cudaemu
EMU_FLAGS := -Itests/cudaemu/include -DKVGLASS_CUDAEMU -DKVGLASS_ON_DEVICE -DKVGLASS_CUDA_CODE='"sm_80"'
# These run twice: on the emulator and on a device (make test-gpu). tests/support/loose_model.c then puts its models there.
CUDA_TEST_SRC  := $(wildcard tests/cuda/*.c) tests/support/loose_model.c tests/engine/forward_test.c tests/engine/evict_test.c
CUDA_TEST_WITH := $(filter $(BUILD)/engine/%,$(ALL_OBJ)) \
	$(addprefix $(BUILD)/tests/support/,run.o tiny_model.o tiny_tokens.o gguf_writer.o quantise.o plain_attention.o reference_forward.o)
EMU_SRC  := $(CUDA_KERNEL) $(CUDA_HOST) $(wildcard tests/cudaemu/*.cc tests/cudaemu/*.c) $(CUDA_TEST_SRC)
EMU_OBJ  := $(addsuffix .o,$(addprefix $(EMU)/,$(EMU_SRC)))
CXXWARN  := $(filter-out -Wstrict-prototypes -Wmissing-prototypes,$(WARN))
CXXFLAGS += -std=c++17 -g -O2 -fno-strict-aliasing -ffp-contract=off $(CXXWARN)
# Kernels also stop at what C++ leaves undefined: misaligned vectors, shifts and sums that overflow.
EMU_KERNEL_FLAGS := -x c++ -Wno-unknown-pragmas -Wno-shadow -fno-sanitize-recover=all \
	-fsanitize=alignment,shift,signed-integer-overflow,integer-divide-by-zero,float-cast-overflow

$(EMU)/%.cu.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$< (emulated))
	$(Q)$(CXX) $(EMU_FLAGS) $(CPPFLAGS) $(CXXFLAGS) $(EMU_KERNEL_FLAGS) -MMD -MP -c -o $@ $<

$(EMU)/%.cc.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(EMU_FLAGS) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(EMU)/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$< (emulated))
	$(Q)$(CC) $(EMU_FLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(EMU)/run: $(EMU_OBJ) $(CUDA_TEST_WITH)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) -fsanitize=undefined -o $@ $^ $(LDLIBS)

GPU_TEST_OBJ := $(CUDA_TEST_SRC:%.c=$(BUILD)/cudatest/%.o)
$(BUILD)/cudatest/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$< (device))
	$(Q)$(CC) -isystem $(CUDA_ROOT)/include -DKVGLASS_ON_DEVICE $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/cudatest/run: $(GPU_TEST_OBJ) $(CUDA_TEST_WITH) $(CUDA_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/%.o: CPPFLAGS += -DKVGLASS_TREE='"$(CURDIR)"' -DKVGLASS_PROGRAM='"$(CURDIR)/$(BUILD)/kvglass"'

$(BUILD)/tests/run: $(TEST_OBJ) $(BUILD)/libkvglass.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# ---- the sets of AVX-512, emulated in place of those of the library, so that any processor with AVX2 tests them ----

SIMDEMU       := $(BUILD)/simdemu
SIMDEMU_FLAGS := -include tests/simdemu/avx512.h $(SIMD_avx2) -Wno-psabi
SIMDEMU_SETS  := avx512 avx512_bf16
SIMDEMU_OBJ   := $(foreach s,$(SIMDEMU_SETS),$(SIMD_SRC:%.c=$(SIMDEMU)/%.$(s).o)) $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/simdemu/*.c))
define simdemu_rule
$(SIMDEMU)/engine/cpu/simd/%.$(1).o: engine/cpu/simd/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$< ($(1), emulated))
	$$(Q)$$(CC) $$(SIMDEMU_FLAGS) $$(CPPFLAGS) $$(CFLAGS) -DSIMD_NAME=$(1) -DSIMD_$(1)=1 -MMD -MP -c -o $$@ $$<
endef
$(foreach s,$(SIMDEMU_SETS),$(eval $(call simdemu_rule,$(s))))

SIMDEMU_TESTS := $(filter $(BUILD)/tests/support/%,$(TEST_OBJ)) \
	$(patsubst %,$(BUILD)/tests/engine/%_test.o,simd matmul attention forward session evict lookahead train_step)
$(SIMDEMU)/run: $(SIMDEMU_TESTS) $(SIMDEMU_OBJ) $(BUILD)/libkvglass.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# the manual is its template and the tables of the program
$(BUILD)/man/page: $(BUILD)/man/page.o $(BUILD)/libkvglass.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/man/kvglass.1: $(BUILD)/man/page man/kvglass.1.in
	$(call say,MAN,$@)
	$(Q)$(BUILD)/man/page man/kvglass.1.in >$@

# one fuzzing binary per parser: make config=fuzz build/fuzz/engine/file/gguf_fuzz
$(BUILD)/%_fuzz: $(BUILD)/%_fuzz.o $(BUILD)/libkvglass.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# Changed flags, compiler or libraries rebuild what they touch; missing libraries are named before the compiler trips over them.
BUILT_WITH := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS) cuda: $(CUDA_STATE)
$(BUILD)/flags: export BUILT_WITH := $(BUILT_WITH)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$BUILT_WITH" | cmp -s - $@ || { .ci/packages check '$(PACKAGES)' '$(PKGS)' && \
		printf '  %-5s %s\n' build '$(config)' cuda '$(CUDA_STATE)' && printf '%s\n' "$$BUILT_WITH" >$@; }

# ---- a fresh machine: packages first, then make again, because what they bring is probed when make starts ----

demo: ## install what is missing, build, bring the sample model, show a sample prompt
	@.ci/packages install '$(PACKAGES)' '$(PKGS)'
	@$(MAKE) demo-run

test: ## the same set-up, then every test
	@.ci/packages install '$(PACKAGES)' '$(PKGS)'
	@$(MAKE) test-run

demo-run: build/kvglass model
	@samples/demo

test-run: model
	+@tests/all

test-cudaemu: $(EMU)/run ## every CUDA kernel and whole models on the CPU, no GPU and no toolkit needed; only="SUITE SUITE.CASE"
	$(Q)$(EMU)/run --jobs $$(nproc 2>/dev/null || echo 2) $(only)

test-simdemu: $(SIMDEMU)/run ## the engine on its AVX-512 and bfloat16 code, emulated over AVX2; only="SUITE SUITE.CASE"
	$(Q)$(SIMDEMU)/run --jobs $$(nproc 2>/dev/null || echo 2) $(only)

test-gpu: $(if $(CUDA_ON),$(BUILD)/cudatest/run) ## the same tests on a GPU, under compute-sanitizer too where it is installed; 77: there is none
	+$(Q)tests/on-gpu '$(CUDA_STATE)' $(if $(CUDA_ON),$(BUILD)/cudatest/run $(CUDA_ROOT))

bench-gpu: build/kvglass ## tables and a roofline figure of this machine's GPU in samples/bench; 77: there is none
	+$(Q)samples/bench-gpu

unit: $(BUILD)/tests/run $(BUILD)/kvglass ## unit tests; only="SUITE SUITE.CASE" chooses, config= as above
	$(Q)CUDA_VISIBLE_DEVICES= $(BUILD)/tests/run $(only)

rewrite-screens: $(BUILD)/tests/run ## write the expected screens (tests/screens) anew; look at the difference before you commit it
	$(Q)CUDA_VISIBLE_DEVICES= $(BUILD)/tests/run --rewrite screens

# a picture of a screen dump: make picture dump=tests/screens/maps-least.screen png=/tmp/screen.png
pictures: build/kvglass ## draw the pictures of README again (samples/pictures)
	+$(Q)samples/draw-pictures

picture: $(BUILD)/tests/screens/dump_png ## a screen dump as a picture: dump=FILE png=FILE
	$(Q)$(BUILD)/tests/screens/dump_png $(dump) $(png)

$(BUILD)/tests/screens/dump_png: $(BUILD)/tests/screens/dump_png.o $(BUILD)/libkvglass.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

check-includes: ## who may know whom
	@tests/check-includes

check-docs: $(BUILD)/man/kvglass.1 ## is the manual what its template and the tables give?
	+@tests/check-docs

man: $(BUILD)/man/kvglass.1 ## write man/kvglass.1 again
	$(Q)cp $< man/kvglass.1

model: ## bring the sample model into the cache
	@samples/bring-model >/dev/null

packages: ## Debian packages that the build needs
	@echo $(PACKAGES)

install-packages: ## install those that are missing
	@.ci/packages install '$(PACKAGES)' '$(PKGS)'

fuzz: ## run every fuzzer for seconds=60 from the committed corpora (needs clang)
	+@tests/fuzz $(or $(seconds),60) $(FUZZ_SRC)

coverage: ## lines that the unit tests run, per house; limit=80 lists the files below it
	+@$(MAKE) config=coverage build/coverage/tests/run build/coverage/kvglass
	@limit=$(limit) tests/coverage

sample-module: build/kvglass ## train the sample's lookahead modules again and judge them (six hours; Debian, apt-get)
	@samples/modules/train

golden: ## how the golden files of the tests are made again (needs Python packages)
	@sed -n '2,/^"""/{/^"""/d;p}' tests/golden/make_golden.py

install: $(BUILD)/kvglass ## PREFIX=/usr/local DESTDIR=
	install -D -m 755 $(BUILD)/kvglass $(DESTDIR)$(PREFIX)/bin/kvglass
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BUILD)/kvglass completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/kvglass
	$(foreach page,$(wildcard man/*.1),install -D -m 644 $(page) $(DESTDIR)$(PREFIX)/share/man/man1/$(notdir $(page));)
	$(foreach sample,$(wildcard samples/prompts/* samples/modules/*.safetensors samples/modules/README),install -D -m 644 $(sample) $(DESTDIR)$(PREFIX)/share/kvglass/$(sample);)

clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

-include $(LIB_OBJ:.o=.d) $(SIMDEMU_OBJ:.o=.d) $(EMU_OBJ:.o=.d) $(GPU_TEST_OBJ:.o=.d) $(FUZZ_SRC:%.c=$(BUILD)/%.d) $(TEST_OBJ:.o=.d) $(BUILD)/tui/main.d $(BUILD)/man/page.d
