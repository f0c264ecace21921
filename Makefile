# SeloraX developer platform. `make help` lists the commands.
#
# One non-recursive file. Services are found by wildcard; VARIANT chooses how things are compiled and where they go:
#   release   what runs                         build/release
#   asan      AddressSanitizer and UBSan        build/asan
#   tsan      ThreadSanitizer                   build/tsan
#   fuzz      libFuzzer with ASan and UBSan     build/fuzz    (clang)

MAKEFLAGS += -rR
VARIANT ?= release
BUILD   := build/$(VARIANT)
GEN     := build/gen
PYTHON  ?= /usr/bin/python3

CC      := gcc
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 \
           -Wno-format-nonliteral -Werror
CFLAGS  := -std=c11 -D_GNU_SOURCE -g -fno-omit-frame-pointer -fno-common $(WARN)
LDFLAGS := -Wl,--as-needed
LDLIBS  := -lpthread

# Recipes say what they do in a word; V=1 shows the whole commands.
ifneq ($(V),1)
.SILENT:
endif

ifeq ($(VARIANT),release)
CFLAGS  += -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDFLAGS += -pie -Wl,-z,relro,-z,now
else ifeq ($(VARIANT),asan)
CFLAGS  += -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(VARIANT),tsan)
CFLAGS  += -O1 -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
CC      := clang-14
CFLAGS  += -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else
$(error VARIANT is release, asan, tsan or fuzz)
endif

SERVICES := gateway $(filter-out gateway,$(patsubst services/%/main.c,%,$(wildcard services/*/main.c)))
PROGRAMS := $(SERVICES:%=$(BUILD)/bin/%)

PKGS_shared  := libzmq msgpack libpq libcrypto yajl libargon2 libcurl libxxhash
PKGS_gateway := $(PKGS_shared) libmicrohttpd
PKG_CFLAGS   := $(shell pkg-config --cflags $(PKGS_gateway) 2>/dev/null)
# -iquote, so that a header of ours never stands in for one of the system.
INCLUDES     := -iquote libshared -iquote $(GEN)
ALL_CFLAGS    = $(CFLAGS) $(INCLUDES) $(PKG_CFLAGS)

PROTO     := $(wildcard proto/*.json)
EXPLORER  := services/gateway/explorer
VIEWER    := $(GEN)/viewer
MIGRATION := $(wildcard services/*/schema/*.sql libshared/schema/*.sql)
GENERATED := $(GEN)/stamp

.PHONY: all
all: $(PROGRAMS)

.PHONY: help
help:
	grep -hE '^# make ' Makefile | sed 's/^# //'

# ---- the contract: routes, validators, operation tables, the served document -------------------------------------------

# The explorer's viewer, by its lock file alone: nothing that it brings is run, and npm is asked only when that file changed.
$(VIEWER)/stamp: $(EXPLORER)/package-lock.json $(EXPLORER)/.npmrc
	mkdir -p $(VIEWER)
	cp $(EXPLORER)/package.json $(EXPLORER)/package-lock.json $(EXPLORER)/.npmrc $(VIEWER)
	echo '  NPM     $(EXPLORER)'
	cd $(VIEWER) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >npm.log 2>&1 || { cat npm.log >&2; \
	    echo 'npm could not fetch what $(EXPLORER)/package-lock.json names: it needs node, npm and a way to its registry (npm config get registry)' >&2; exit 1; }
	touch $@

$(GENERATED): $(wildcard proto/*.py proto/*.css proto/guides/* proto/examples/*) $(PROTO) $(MIGRATION) $(wildcard $(EXPLORER)/*) $(VIEWER)/stamp
	mkdir -p $(GEN)
	$(PYTHON) proto/generate.py $(GEN)
	touch $@

# The generator leaves files alone that stay the same, so what includes them is compiled again only when they changed.
# Precious, because make would delete what it thinks it can make again.
.PRECIOUS: $(GEN)/%.h $(GEN)/%.c
$(GEN)/%.h $(GEN)/%.c: $(GENERATED) ;

# ---- compiling ---------------------------------------------------------------------------------------------------------

SHARED_SRC := $(wildcard libshared/*.c)
SHARED_OBJ := $(SHARED_SRC:%.c=$(BUILD)/%.o)

$(BUILD)/%.o: %.c | $(GENERATED)
	mkdir -p $(@D)
	echo '  CC      $<'
	$(CC) $(ALL_CFLAGS) -iquote $(<D) -MMD -MP -c $< -o $@

$(BUILD)/gen/%.o: $(GEN)/%.c
	mkdir -p $(@D)
	echo '  CC      $<'
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libshared.a: $(SHARED_OBJ) $(BUILD)/gen/errors.o
	rm -f $@
	ar rcs $@ $^

# A program is its folder's sources, its generated tables and libshared. The gateway and sxctl know every operation
# (operations.c) and the gateway serves files (files.c); a service has its handlers' table (SERVICE_operations.c).
gen_of = $(if $(filter gateway,$(1)),operations files,$(if $(filter sxctl,$(1)),operations,$(subst -,_,$(1))_operations))

define PROGRAM
$(BUILD)/bin/$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard services/$(1)/*.c)) $(patsubst %,$(BUILD)/gen/%.o,$(call gen_of,$(1))) $(BUILD)/libshared.a
	mkdir -p $$(@D)
	echo '  LINK    $$@'
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(shell pkg-config --libs $$(PKGS_$(if $(filter gateway,$(1)),gateway,shared))) $$(LDLIBS)
endef
$(foreach service,$(SERVICES),$(eval $(call PROGRAM,$(service))))

-include $(wildcard $(BUILD)/libshared/*.d $(BUILD)/gen/*.d $(BUILD)/gen-streams/*.d $(BUILD)/services/*/*.d $(BUILD)/tests/*/*.d)

# ---- the commands (README.md) ------------------------------------------------------------------------------------------
#
# make up                     install what is missing, build, start everything in the background, load the demo data
# make down                   stop everything; the data stays
# make run                    the same as up in the foreground; Ctrl-C stops all
# make test                   all that must hold, at about a tenth of the full counts; ends with "N passed, N failed"
# make test-full              the same with full counts
# make test-compose           bring up compose.yaml on the Docker engine that answers
# make check                  format, clang-tidy, cppcheck, banned functions
# make fuzz SECONDS=60        libFuzzer targets
# make examples RECORDING=DIR the document's examples anew, from what a test run exchanged (SX_TEST_RECORDING=DIR make test)
# make bench                  the project's own figures, as ratios to ceilings measured in the same run; PARTS=store_data some of them
# make bench-data STORES=20 ORDERS=10000   load stores with orders into the running platform


.PHONY: up down run
up:
	services/sxctl/packages.sh build run
	$(MAKE) --no-print-directory -j2 VARIANT=release all
	services/sxctl/up.sh up

run:
	services/sxctl/packages.sh build run
	$(MAKE) --no-print-directory -j2 VARIANT=release all
	services/sxctl/up.sh run

down:
	services/sxctl/up.sh down

# ---- tests -------------------------------------------------------------------------------------------------------------

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/bin/unit/%,$(wildcard tests/unit/test_*.c))

# A unit test links the modules it tests: all of libshared and the gateway's modules without its main.
GATEWAY_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out services/gateway/main.c,$(wildcard services/gateway/*.c)))

$(BUILD)/libgateway.a: $(GATEWAY_OBJ) $(BUILD)/gen/operations.o $(BUILD)/gen/files.o
	rm -f $@
	ar rcs $@ $^

# Arithmetic of billing that knows no database.
$(BUILD)/bin/unit/test_fees: $(BUILD)/services/billing/fees.o
$(BUILD)/bin/unit/test_period: $(BUILD)/services/billing/period.o

$(BUILD)/tests/%.o: ALL_CFLAGS += -Iservices/gateway
$(BUILD)/bin/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libgateway.a $(BUILD)/libshared.a
	mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs $(PKGS_gateway) cmocka) $(LDLIBS)

# The tests of streams and uploads have a service and a gateway of their own, whose tables know one more fragment.
STREAMS := $(GEN)-streams

$(STREAMS)/stamp: $(GENERATED) $(wildcard tests/streams/contract.py tests/streams/proto/* tests/streams/schema/*)
	mkdir -p $(STREAMS)
	$(PYTHON) tests/streams/contract.py $(STREAMS)/root
	$(PYTHON) proto/generate.py $(STREAMS) $(STREAMS)/root
	touch $@

.PRECIOUS: $(STREAMS)/%.h $(STREAMS)/%.c
$(STREAMS)/%.h $(STREAMS)/%.c: $(STREAMS)/stamp ;

$(BUILD)/gen-streams/%.o: $(STREAMS)/%.c
	mkdir -p $(@D)
	echo '  CC      $<'
	$(CC) $(ALL_CFLAGS) -iquote $(STREAMS) -MMD -MP -c $< -o $@

$(BUILD)/tests/streams/service.o: INCLUDES += -iquote $(STREAMS)
$(BUILD)/tests/streams/service.o: $(STREAMS)/streams_operations.h
$(BUILD)/bin/test/streams: $(BUILD)/tests/streams/service.o $(BUILD)/gen-streams/streams_operations.o
$(BUILD)/bin/test/gateway: $(BUILD)/services/gateway/main.o $(BUILD)/gen-streams/operations.o $(BUILD)/libgateway.a

STREAM_TESTS := $(BUILD)/bin/test/streams $(BUILD)/bin/test/gateway
$(STREAM_TESTS): $(BUILD)/libshared.a
	mkdir -p $(@D)
	echo '  LINK    $@'
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter-out $<,$^) $< $$(pkg-config --libs $(PKGS_gateway)) $(LDLIBS)

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS) $(STREAM_TESTS)

.PHONY: test test-full test-compose
test:
	services/sxctl/packages.sh build run test
	tests/run.py

test-full:
	services/sxctl/packages.sh build run test
	SX_TEST_SCALE=1 tests/run.py

test-compose:
	services/sxctl/packages.sh test
	tests/compose/run.sh

FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/bin/%,$(wildcard tests/fuzz/fuzz_*.c))
ifeq ($(VARIANT),fuzz)
$(BUILD)/bin/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libgateway.a $(BUILD)/libshared.a
	mkdir -p $(@D)
	$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $$(pkg-config --libs $(PKGS_gateway)) $(LDLIBS)
endif

.PHONY: fuzzers fuzz
fuzzers: $(FUZZERS)

SECONDS ?= 60
fuzz:
	services/sxctl/packages.sh build fuzz
	$(MAKE) --no-print-directory -j2 VARIANT=fuzz fuzzers
	tests/fuzz/run.sh $(SECONDS)

# ---- checks ------------------------------------------------------------------------------------------------------------

SOURCES := $(wildcard libshared/*.[ch] services/*/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] tests/streams/*.[ch])
BANNED  := sprintf|vsprintf|strcpy|strcat|strtok|atoi|atol|atof|gets|rand|srand|system|alloca|tmpnam|mktemp

# The checks are a make of their own, because this one asked pkg-config before the packages were there.
.PHONY: check checks
check:
	services/sxctl/packages.sh build check
	$(MAKE) --no-print-directory VARIANT=release checks

checks: $(GENERATED)
	echo "  clang-format"
	clang-format-14 --dry-run --Werror $(SOURCES)
	echo "  banned functions"
	! grep -nE '\b($(BANNED))\(' $(SOURCES) || { echo 'banned: use the bounded ones of text.h, arena.h and stdio' >&2; exit 1; }
	echo "  cppcheck"
	cppcheck --quiet -j2 --std=c11 --error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
	    --suppress=missingIncludeSystem --suppress=varFuncNullUB -D__GNUC__ -Ilibshared -I$(GEN) libshared services
	echo "  clang-tidy"
	printf '%s\n' $(filter %.c,$(filter-out tests/%,$(SOURCES))) | xargs -P 2 -n 1 -I{} \
	    clang-tidy-14 --quiet {} -- -w $(filter-out -W%,$(ALL_CFLAGS)) 2>/dev/null

.PHONY: examples
RECORDING ?= $(BUILD)/recording
examples: $(GENERATED)
	GEN=$(GEN) $(PYTHON) tests/conformance/examples.py $(RECORDING)

# ---- figures -----------------------------------------------------------------------------------------------------------

STORES ?= 20
ORDERS ?= 10000
.PHONY: bench bench-data
bench:
	services/sxctl/packages.sh build run test bench
	$(MAKE) --no-print-directory -j2 VARIANT=release all
	tests/bench/run.py $(PARTS)

bench-data:
	services/sxctl/up.sh as sh -c '"$$SX_HOME/bin/sxctl" bench-data $(STORES) $(ORDERS)'
