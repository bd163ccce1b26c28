# coord: the only makefile. `make help` lists what it can do.
#
# Every variant (release, debug, asan, ...) is built in build/VARIANT from the same rules:
#   make VARIANT=asan test
# DEV=1 turns warnings into errors; CC=clang builds with clang.

# Fuzzing has a variant and a compiler of its own; so have the known bugs, a variant.
ifneq ($(filter fuzz fuzz-build fuzz-keep,$(MAKECMDGOALS)),)
VARIANT := fuzz
CC      := clang
endif
ifneq ($(filter test-mutants test-mutants-service,$(MAKECMDGOALS)),)
VARIANT := mutants
endif

# A program that wants the library's full speed lets the compiler look across files; `VARIANT=release` does not.
ifneq ($(filter bench-raft,$(MAKECMDGOALS)),)
VARIANT := lto
endif

VARIANT ?= release
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
DEV     ?= 0
B       := build/$(VARIANT)
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wvla -Wwrite-strings -Wundef -Wno-unused-parameter
ifeq ($(DEV),1)
WARN += -Werror
endif

OPT_release := -O2 -g
OPT_lto     := -O2 -g -flto=auto
OPT_debug   := -O0 -g3
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
# Known bugs that can be switched on one at a time: raft/mutant.h, server/mutant.h.
OPT_mutants := -O2 -g -DRAFT_MUTANTS -DSERVER_MUTANTS
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT := $(OPT_$(VARIANT))
ifeq ($(strip $(OPT)),)
$(error unknown VARIANT '$(VARIANT)': use release, lto, debug, asan, tsan or mutants (fuzz: make fuzz))
endif

HARDEN := -fstack-protector-strong -fPIC
ifneq ($(filter release lto mutants,$(VARIANT)),)
HARDEN += -D_FORTIFY_SOURCE=2
endif

PKG_LIBS := libevent msgpack yaml-0.1 libxxhash
CPPFLAGS += -D_GNU_SOURCE -DCOORD_VERSION='"$(VERSION)"' -Iinclude -I.
CFLAGS   += -std=c11 $(OPT) $(HARDEN) $(WARN) -MMD -MP
LDFLAGS  += $(filter -fsanitize% -fno-sanitize%,$(OPT)) $(if $(filter lto,$(VARIANT)),$(OPT)) -Wl,-z,relro,-z,now

LIBS_RAFT   := -lxxhash
LIBS_PROTO  := -lmsgpackc
LIBS_SERVER := -levent_core -levent_pthreads -lyaml -lpthread
LIBS_CLIENT := -levent_core -levent_extra -lpthread
LIBS_CHECK  := $(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lm -lrt -lpthread)

comma := ,
obj = $(patsubst %.c,$(B)/%.o,$(1))

RAFT_SRC     := $(wildcard raft/*.c)
STORAGE_SRC  := $(wildcard raft/storage/*.c)
ifeq ($(VARIANT),mutants)
RAFT_SRC     += tests/mutants/mutant.c
endif
PROTOCOL_SRC := $(wildcard protocol/*.c)
# Everything of the server but main.c, so that tests can link it.
SERVER_PURE  := $(wildcard server/store/*.c server/session/*.c server/machine/*.c server/watch/*.c server/node/*.c)
ifeq ($(VARIANT),mutants)
SERVER_PURE  += tests/mutants/server_mutant.c
endif
SERVER_SHELL := $(filter-out server/shell/main.c,$(wildcard server/shell/*.c))
CLIENT_SRC   := $(wildcard client/core/*.c client/shell/*.c client/recipes/*.c)
CLI_SRC      := $(filter-out client/cli/main.c,$(wildcard client/cli/*.c client/bench/*.c client/verify/*.c))
EXAMPLE_SRC  := $(wildcard client/examples/*.c)
TESTLIB_SRC  := $(wildcard tests/lib/*.c tests/sim/disk*.c tests/service/oracle*.c)
SIM_SRC      := $(wildcard tests/sim/*.c)
SCRIPT_SRC   := $(wildcard tests/script/*.c) $(filter-out tests/sim/main.c tests/sim/batch.c,$(SIM_SRC))
MC_SRC       := $(wildcard tests/mc/*.c)
SERVICE_SRC  := $(wildcard tests/service/*.c) $(wildcard tests/sim/disk*.c) \
                tests/sim/evq.c
# The calls of these functions go through the simulated world (tests/service/sys.c, hooks.c).
SERVICE_WRAP := clock_gettime getrandom epoll_create1 epoll_ctl epoll_wait timerfd_create timerfd_settime \
                eventfd read write readv close socket setsockopt getsockopt connect send recv shutdown \
                raft_fs_posix_open raft_fs_posix_close raft_wal_options_init \
                machine_apply machine_skip machine_replace \
                coord__core_submit coord__core_next coord_request_encode coord__session_ponged \
                coord__core_watch coord__core_unwatch coord__watch_answered coord__watch_event \
                coord__record_open coord__record_call coord__record_reply coord__record_watch coord__record_event \
                coord__record_state coord__record_close
UNIT_SRC     := $(wildcard tests/unit/test_*.c)
FUZZ_SRC     := $(wildcard tests/fuzz/fuzz_*.c)
# The load generators: what only computes (a unit test checks it), and what every one of them has.
BENCH_PURE   := $(addprefix tests/bench/,bytes.c jute.c grpc.c coordmsg.c usage.c table.c) client/bench/histogram.c
BENCH_SRC    := $(addprefix tests/bench/,main.c load.c run.c fanout.c attempt.c measure.c)
TESTLIB_SRC  += $(filter tests/bench/%,$(BENCH_PURE))

LIB_RAFT     := $(B)/libcoord-raft.a
LIB_RAFT_SO  := $(B)/libcoord-raft.so
LIB_PROTO    := $(B)/libcoord-protocol.a
LIB_SERVER   := $(B)/libcoord-server.a
LIB_CLI      := $(B)/libcoord-cli.a
LIB_CLIENT   := $(B)/libcoord.a
LIB_CLIENT_SO := $(B)/libcoord.so

COORDD   := $(B)/coordd
COORDCTL := $(B)/coordctl
SIM      := $(B)/sim
SCRIPT   := $(B)/script
MC       := $(B)/mc
SIM_SERVICE := $(B)/sim-service
COUNTER  := $(B)/raft-counter
SKETCH   := $(B)/raft-sketch
RAFT_WAL := $(B)/raft-wal
BENCH_RAFT := $(B)/bench_raft
EXAMPLES := $(patsubst client/examples/%.c,$(B)/examples/%,$(EXAMPLE_SRC))
HELPERS  := $(patsubst tests/integration/%.c,$(B)/integration/%,$(wildcard tests/integration/*.c))
UNITS    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
GENERATORS := $(addprefix $(B)/bench/,coordload zkload peertable)
CLIFFS     := $(addprefix $(B)/tests/bench/cliffs/,delay slowsync.so)
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,$(B)/fuzz/%,$(FUZZ_SRC))
REPLAYS  := $(patsubst tests/fuzz/fuzz_%.c,$(B)/replay/%,$(FUZZ_SRC))

.PHONY: all
all: $(LIB_RAFT) $(LIB_RAFT_SO) $(LIB_CLIENT) $(LIB_CLIENT_SO) $(COORDD) $(COORDCTL) $(COUNTER) $(SKETCH) $(RAFT_WAL) $(EXAMPLES)  ## build libraries, coordd, coordctl and the examples

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  %-14s %s\n",$$1,$$2}'

# --- objects and libraries -------------------------------------------------------------------

# The flags in force are a prerequisite, so that a change of compiler or DEV rebuilds.
FLAGS_FILE := $(B)/.flags
$(shell mkdir -p $(B); echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $(FLAGS_FILE) || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $(FLAGS_FILE))

$(B)/%.o: %.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

define archive
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^
endef

$(LIB_RAFT): $(call obj,$(RAFT_SRC) $(STORAGE_SRC))
	$(archive)
$(LIB_RAFT_SO): $(call obj,$(RAFT_SRC) $(STORAGE_SRC)) raft/libcoord-raft.map
	$(CC) -shared $(LDFLAGS) -Wl,--version-script=raft/libcoord-raft.map -Wl,-soname,libcoord-raft.so.0 -o $@ $(filter %.o,$^) $(LIBS_RAFT)
$(LIB_PROTO): $(call obj,$(PROTOCOL_SRC))
	$(archive)
$(LIB_SERVER): $(call obj,$(SERVER_PURE) $(SERVER_SHELL))
	$(archive)
$(LIB_CLIENT): $(call obj,$(CLIENT_SRC) $(PROTOCOL_SRC))
	$(archive)
$(LIB_CLI): $(call obj,$(CLI_SRC))
	$(archive)
$(LIB_CLIENT_SO): $(call obj,$(CLIENT_SRC) $(PROTOCOL_SRC)) client/libcoord.map
	$(CC) -shared $(LDFLAGS) -Wl,--version-script=client/libcoord.map -Wl,-soname,libcoord.so.0 -o $@ $(filter %.o,$^) $(LIBS_CLIENT) $(LIBS_PROTO)

# --- programs --------------------------------------------------------------------------------

$(COORDD): $(call obj,server/shell/main.c) $(LIB_SERVER) $(LIB_PROTO) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SERVER) $(LIBS_PROTO) $(LIBS_RAFT)
$(COORDCTL): $(call obj,client/cli/main.c) $(LIB_CLI) $(LIB_CLIENT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_CLIENT) $(LIBS_PROTO) -lm
$(B)/examples/%: $(B)/client/examples/%.o $(LIB_CLIENT)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_CLIENT) $(LIBS_PROTO)
$(COUNTER): $(call obj,$(filter-out raft/example/sketch.c,$(wildcard raft/example/*.c))) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_RAFT)
$(SKETCH): $(call obj,raft/example/sketch.c) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_RAFT)
$(RAFT_WAL): $(call obj,$(wildcard raft/tools/*.c)) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_RAFT)
$(BENCH_RAFT): $(call obj,$(wildcard raft/bench/*.c)) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -o $@ $^ $(LIBS_RAFT)
# The load generators beside which coord is measured: one engine, a wire each. etcd's needs libnghttp2-dev.
$(B)/bench/zkload: $(call obj,tests/bench/wire_zk.c $(BENCH_SRC) $(BENCH_PURE))
$(B)/bench/coordload: $(call obj,tests/bench/wire_coord.c $(BENCH_SRC) $(BENCH_PURE))
$(B)/bench/etcdload: $(call obj,tests/bench/wire_etcd.c $(BENCH_SRC) $(BENCH_PURE))
$(B)/bench/peertable: $(call obj,tests/bench/peertable.c $(BENCH_PURE))
$(B)/bench/etcdload: LIBS_BENCH = $(shell pkg-config --libs libnghttp2)
$(B)/bench/%:
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_BENCH)
$(SIM): $(call obj,$(SIM_SRC)) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_RAFT)
$(SCRIPT): $(call obj,$(SCRIPT_SRC)) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_RAFT)
$(MC): $(call obj,$(MC_SRC)) $(LIB_RAFT)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_RAFT)
$(SIM_SERVICE): $(call obj,$(SERVICE_SRC)) $(LIB_SERVER) $(LIB_CLI) $(LIB_CLIENT) $(LIB_PROTO) $(LIB_RAFT)
	$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(SERVICE_WRAP)) -o $@ $^ $(LIBS_SERVER) $(LIBS_CLIENT) $(LIBS_PROTO) $(LIBS_RAFT)
$(B)/unit/%: $(B)/tests/unit/%.o $(call obj,$(TESTLIB_SRC)) $(LIB_SERVER) $(LIB_CLI) $(LIB_CLIENT) $(LIB_PROTO) $(LIB_RAFT)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SERVER) $(LIBS_CLIENT) $(LIBS_PROTO) $(LIBS_RAFT) $(LIBS_CHECK)
$(B)/integration/%: $(B)/tests/integration/%.o $(LIB_CLIENT)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_CLIENT) $(LIBS_PROTO)
FUZZ_OBJ := $(call obj,$(wildcard tests/fuzz/lib_*.c tests/sim/disk*.c))
$(B)/fuzz/%: $(B)/tests/fuzz/fuzz_%.o $(FUZZ_OBJ) $(LIB_SERVER) $(LIB_CLIENT) $(LIB_PROTO) $(LIB_RAFT)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS_SERVER) $(LIBS_CLIENT) $(LIBS_PROTO) $(LIBS_RAFT)
$(B)/replay/%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(FUZZ_OBJ) $(LIB_SERVER) $(LIB_CLIENT) $(LIB_PROTO) $(LIB_RAFT)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SERVER) $(LIBS_CLIENT) $(LIBS_PROTO) $(LIBS_RAFT)

.SECONDARY:

# --- tests -----------------------------------------------------------------------------------

SEED ?= 1
N    ?= 200

.PHONY: unit unit-build sim sim-build sim-service scripts script-build script-sweep mc mc-build bench-raft integration test format tidy clean install
unit-build: $(UNITS) $(GENERATORS)
sim-build: $(SIM)
mc-build: $(MC)
script-build: $(SCRIPT)
unit: $(UNITS)  ## run the unit tests (T=name runs one)
	@scripts/run-units.sh $(if $(T),$(B)/unit/$(T),$(UNITS))
sim-service: $(SIM_SERVICE)  ## simulate whole members and clients: SEED= first seed, N= how many
	$(SIM_SERVICE) --seed $(SEED) --count $(N)
sim: $(SIM)  ## run the simulator: SEED= first seed, N= how many
	$(SIM) --seed $(SEED) --count $(N)
SCRIPTS = $(sort $(wildcard tests/script/$(if $(T),$(T),sc)_*.txt))
scripts: $(SCRIPT)  ## run the scenario scripts (T=sc_07 runs one)
	$(SCRIPT) $(SCRIPTS)
STRIDE ?= 4
script-sweep: $(SCRIPT)  ## cut the power at every disk operation of every script (STRIDE=1 all images, default every 4th)
	$(SCRIPT) --sweep --stride $(STRIDE) $(SCRIPTS)
MUTANT_UNITS := $(filter $(B)/unit/test_wal% $(B)/unit/test_raft% $(B)/unit/test_snap%,$(UNITS))
.PHONY: test-mutants
test-mutants: $(SCRIPT) $(if $(MEASURE),$(SIM) $(MUTANT_UNITS))  ## put known bugs back: does the test for each fail? (MEASURE=1: does the simulator?)
	@tests/mutants/run.sh $(if $(MEASURE),measure,scripts) $(B)
.PHONY: test-mutants-service
test-mutants-service: $(SIM_SERVICE)  ## put known bugs of the servers back: does sim-service find them? (M="n..." some, MEASURE=1 anew)
	@tests/mutants/service.sh $(if $(MEASURE),measure,quick) $(B) $(M)
mc: $(MC)  ## search small worlds exhaustively (tests/mc/README.md), about a minute
	$(MC)
integration: all $(HELPERS) $(GENERATORS) $(CLIFFS)  ## run the tests with real processes (T=name runs one)
	@tests/integration/run.sh $(B) $(T)
SECS ?= 60
.PHONY: fuzz fuzz-build fuzz-keep fuzz-replay
fuzz-build: $(FUZZERS)
fuzz: $(if $(F),$(B)/fuzz/$(F),$(FUZZERS))  ## look for inputs that break a decoder (F=name one, SECS= of each)
	@tests/fuzz/run.sh search $(B) $(SECS) $(F)
fuzz-keep: $(B)/fuzz/$(F)  ## add to the corpus of F=name what its searches found that reaches new code
	@tests/fuzz/run.sh keep $(B) $(F)
fuzz-replay: $(REPLAYS)  ## run every kept fuzzing input (any VARIANT, any compiler)
	@for r in $(REPLAYS); do $$r tests/fuzz/corpus/$${r##*/} || exit 1; done
test: N := 2000
test: unit sim scripts script-sweep mc fuzz-replay integration  ## everything: unit tests, seeds, scenarios, known bugs put back, real processes
	@$(MAKE) -s VARIANT=mutants test-mutants
	@$(MAKE) -s VARIANT=asan fuzz-replay
bench-raft: $(BENCH_RAFT)  ## measure the Raft library (D=directory for the log's part)
	$(BENCH_RAFT) $(D)

.PHONY: bench-state
$(B)/bench/state: $(call obj,tests/bench/state/state.c) $(LIB_SERVER) $(LIB_PROTO) $(LIB_RAFT)
	@mkdir -p $(dir $@)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SERVER) $(LIBS_PROTO) $(LIBS_RAFT)
bench-state: $(B)/bench/state  ## measure what a large state costs (ARGS="NODES MICROS shuffle")
	$(B)/bench/state $(ARGS)
# Run by hand only (tests/bench/cliffs/README.md); ARGS= is passed on.
$(B)/tests/bench/cliffs/delay: $(call obj,tests/bench/cliffs/delay.c)
	$(CC) $(LDFLAGS) -o $@ $^ -levent_core
$(B)/tests/bench/cliffs/slowsync.so: $(call obj,tests/bench/cliffs/slowsync.c)
	$(CC) -shared $(LDFLAGS) -o $@ $^ -ldl
.PHONY: bench bench-cliffs bench-idle bench-scale
bench: all $(B)/bench/coordload  ## measure coord alone (ARGS="loads fanout failover silence nodes": some parts), 10 minutes
	@BUILD=$(abspath $(B)) tests/bench/cliffs/grid.sh $(ARGS)
bench-cliffs: all $(CLIFFS)  ## measure writes while something is the matter (ARGS="links fsync": some rows)
	@BUILD=$(abspath $(B)) tests/bench/cliffs/cliffs.sh $(ARGS)
bench-idle: all  ## measure what idle sessions cost (ARGS="SESSIONS TIMEOUT SECS MEMBERS")
	@BUILD=$(abspath $(B)) tests/bench/cliffs/idle.sh $(ARGS)
bench-scale: all  ## measure how cost grows with members, connections, nodes and watches
	@BUILD=$(abspath $(B)) tests/bench/cliffs/scale.sh $(ARGS)
# Not part of any test, and nothing else needs what it needs (tests/bench/README.md).
.PHONY: bench-peers
bench-peers:  ## measure coord beside ZooKeeper and etcd (ARGS="--quick", "--install", ...), 12 minutes
	@tests/bench/peers.sh $(ARGS)

# --- upkeep ----------------------------------------------------------------------------------

FORMAT_SRC = $(shell git ls-files '*.c' '*.h')
format:  ## lay out the sources with clang-format
	clang-format -i $(FORMAT_SRC)
tidy:  ## check layout, includes, banned calls and headers
	@scripts/tidy.sh
clean:  ## remove everything built
	rm -rf build

# A pkg-config file from its template.
define pkgconfig
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' $(1) >$(DESTDIR)$(LIBDIR)/pkgconfig/$(notdir $(1:.in=))
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/$(notdir $(1:.in=))
endef

# A shared library under its full version, and the two names that lead to it.
define shared
	install -m 755 $(1) $(DESTDIR)$(LIBDIR)/$(notdir $(1)).$(VERSION)
	ln -sf $(notdir $(1)).$(VERSION) $(DESTDIR)$(LIBDIR)/$(notdir $(1)).0
	ln -sf $(notdir $(1)).0 $(DESTDIR)$(LIBDIR)/$(notdir $(1))
endef

install: all  ## install to PREFIX (default /usr/local), LIBDIR (PREFIX/lib), under DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/coord $(DESTDIR)$(PREFIX)/share/doc/coord/conf
	install -m 755 $(COORDD) $(COORDCTL) $(RAFT_WAL) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(LIB_CLIENT) $(LIB_RAFT) $(DESTDIR)$(LIBDIR)
	$(call shared,$(LIB_CLIENT_SO))
	$(call shared,$(LIB_RAFT_SO))
	install -m 644 include/coord/*.h $(DESTDIR)$(PREFIX)/include/coord
	$(call pkgconfig,client/libcoord.pc.in)
	$(call pkgconfig,raft/libcoord-raft.pc.in)
	install -m 644 README.md LICENSE $(filter-out docs/README.md,$(wildcard docs/*.md)) $(DESTDIR)$(PREFIX)/share/doc/coord
	install -m 644 conf/*.yaml $(DESTDIR)$(PREFIX)/share/doc/coord/conf
	sed 's|/usr/local/bin|$(PREFIX)/bin|' conf/coordd.service >$(DESTDIR)$(PREFIX)/share/doc/coord/conf/coordd.service
	chmod 644 $(DESTDIR)$(PREFIX)/share/doc/coord/conf/coordd.service

-include $(shell find $(B) -name '*.d' 2>/dev/null)
