# Sluice: HTTP to Kafka to PostgreSQL.  "make help" lists the targets.

SHELL = /bin/bash
.DEFAULT_GOAL = all
.DELETE_ON_ERROR:

BUILD ?= build
# one spelling, whoever calls: the scripts say it in full, and what one of
# them built would not be seen to be old by the other
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
NGINX ?= $(shell command -v nginx || echo /usr/sbin/nginx)
NGINX_SRC ?=
T ?=
ONLY ?=
QUICK ?=

ifeq ($(origin CC),default)
CC = gcc
endif

# SAN=1: AddressSanitizer and UndefinedBehaviorSanitizer, beside the others
ifdef SAN
OUT = $(BUILD)/asan
sanitize = -fsanitize=address,undefined -fno-omit-frame-pointer
ifneq ($(findstring clang,$(CC)),)
sanitize += -shared-libasan
endif
hardening =
else
OUT = $(BUILD)
sanitize =
hardening = -fstack-protector-strong -D_FORTIFY_SOURCE=2
endif

# as nginx: callbacks take what they do not use
warnings = -Wall -Wextra -Wno-unused-parameter -Werror
cflags = $(CFLAGS) $(hardening) $(sanitize) $(warnings)
step = @printf '  %-10s %s\n'

build_path := $(abspath $(BUILD))
out_path := $(abspath $(OUT))

export BUILD CC


help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile \
	    | expand -t 20
	@printf '\n%s\n%s\n%s\n' \
	    'run, up: PORT=3000 ONCE=1 EXAMPLES=order' \
	    'build:   CC= CFLAGS= SAN=1 BUILD=build NGINX_SRC=' \
	    'install: DESTDIR= PREFIX=/usr/local MODULES_DIR='


all: module consumers ## build the module and the consumer (CC=, SAN=1)


# The module, against the headers of nginx-dev or a source tree.

nginx_headers = /usr/share/nginx/src
nginx_src = $(if $(NGINX_SRC),$(abspath $(NGINX_SRC)),$(nginx_headers))
module_makefile = $(OUT)/module/Makefile
module_so = $(OUT)/module/ngx_http_kafka_module.so

module: $(module_makefile) ## build the module for the installed nginx, or NGINX_SRC=
	$(step) module $(module_so)
	@$(MAKE) --no-print-directory -s -C $(nginx_src) \
	    -f $(out_path)/module/Makefile modules

$(module_makefile): config $(OUT)/module.flags
	$(step) configure $(nginx_src)
	@stack/configure-module $(nginx_src) $(out_path)/module \
	    '$(cflags) -fPIC' '$(sanitize)'


# The consumer and the unit tests.

packages = rdkafka libpq libcjson libmicrohttpd libpcre2-8 libcrypto
# optional, for Avro, whose schemas a registry has; "make curl=": without
curl = $(shell pkg-config --exists libcurl && echo libcurl)
# expanded in recipes only, when "make deps" may just have installed them
pkg_cflags = $(shell pkg-config --cflags $(packages) $(curl)) \
    $(if $(curl),-DSLUICE_CURL=1)
pkg_libs = $(shell pkg-config --libs $(packages) $(curl))

sources = $(wildcard common/*/*.c consumers/*.c consumers/*/*.c) \
    common/calendar.c
objects = $(sources:%.c=$(OUT)/obj/%.o)
test_objects = $(patsubst %.c,$(OUT)/obj-test/%.o, \
    $(sources) tests/lib/testpoint.c)
library = $(filter-out %/consumers/main.o,$(objects))
units = $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))

compile = $(CC) -std=c11 -D_GNU_SOURCE $(cflags) -Icommon -Iconsumers \
    $(pkg_cflags) -MMD -MP -c -o $@ $<
link = $(CC) $(cflags) -Wl,-z,relro,-z,now -o $@ $^ $(pkg_libs) -lz -lm \
    -lpthread

consumers: $(OUT)/consumers/sluice-consumer ## build the consumer

$(OUT)/consumers/sluice-consumer: $(objects)
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)

# the same with places to stop at, for the tests
$(OUT)/test/sluice-consumer: $(test_objects)
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)

unit: $(units)

# says what the schema check makes of pairs; compared with another's
$(OUT)/test/schema: $(OUT)/obj/tests/oracle/schema.o \
    $(filter $(OUT)/obj/common/%,$(objects))
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)

# says which tuples are made of values; compared with PostgreSQL's text input
$(OUT)/test/tuples: $(OUT)/obj/tests/oracle/tuples.o $(library)
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)

# a mock cluster, for errors that no broker can be made to give
$(OUT)/test/mock: $(OUT)/obj/tests/lib/mock.o
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)

# preloaded by tests: makes librdkafka fail
$(OUT)/test/faults.so: tests/lib/faults.c
	$(step) link $@
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(warnings) -fPIC -shared -o $@ $< $(pkg_libs)

# preloaded into a broker: a slow disk
$(OUT)/test/slow.so: tests/lib/slow.c
	$(step) link $@
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(warnings) -fPIC -shared -o $@ $<

# the daemon against a clock, a Kafka and a PostgreSQL of its own
comma = ,
simulated = $(addprefix -Wl$(comma)--wrap=,clock_ms log_line log_limited \
    random eventfd read write close)
simulate_objects = $(patsubst %.c,$(OUT)/obj/%.o, \
    $(wildcard tests/simulation/*.c)) $(OUT)/test/simulated.a

# of which the linker takes what is asked for
$(OUT)/test/simulated.a: $(filter-out $(addprefix $(OUT)/obj/consumers/, \
    postgres/catalog.o kafka/lookup.o postgres/pg.o kafka/client.o \
    kafka/producer.o store/unblock.o),$(library))
	@mkdir -p $(@D)
	@rm -f $@
	@ar qc $@ $^

$(OUT)/test/simulate: $(simulate_objects)
	$(step) link $@
	@mkdir -p $(@D)
	@$(link) $(simulated)

$(units): $(OUT)/unit/%: $(OUT)/obj/tests/unit/%.o $(library)
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)

$(OUT)/obj/%.o: %.c $(OUT)/c.flags
	$(step) cc $<
	@mkdir -p $(@D)
	@$(compile)

$(OUT)/obj-test/%.o: %.c $(OUT)/c.flags
	$(step) cc '$< (test points)'
	@mkdir -p $(@D)
	@$(compile) -DSLUICE_TEST_POINTS

-include $(wildcard $(OUT)/obj/*/*.d $(OUT)/obj/*/*/*.d $(OUT)/obj-test/*/*.d \
    $(OUT)/obj-test/*/*/*.d)

# rewritten only when it differs, so that another compiler rebuilds
$(OUT)/c.flags: now = $(CC) $(cflags) $(curl)
$(OUT)/module.flags: now = $(CC) $(cflags) $(nginx_src)

$(OUT)/c.flags $(OUT)/module.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(now)' | cmp -s - $@ || echo '$(now)' >$@


# Fuzz targets: tests/fuzz/NAME.c with an LLVMFuzzerTestOneInput() each, and
# tests/fuzz/corpus/NAME/.  replay-NAME runs the corpus, under sanitizers and
# without a fuzzer; fuzz-NAME is libFuzzer's.

FUZZ_SECONDS ?= 60
# those of the module need nginx's headers, but nothing else of nginx
fuzz_nginx = $(addprefix -isystem ,$(nginx_src)/src/core \
    $(nginx_src)/src/event $(nginx_src)/src/event/modules \
    $(nginx_src)/src/event/quic $(nginx_src)/src/http \
    $(nginx_src)/src/http/modules $(nginx_src)/src/http/v2 \
    $(nginx_src)/src/http/v3 $(nginx_src)/src/os/unix $(OUT)/module)
fuzz_targets = avro conf inflate json receipt row schema split
fuzz_sources = $(wildcard common/*.c common/*/*.c)
fuzz_split = $(addprefix ngx_module/http/ngx_http_kafka_, \
    array.c cut.c error.c events.c headers.c json.c reader.c records.c \
    rest_records.c rest_split.c rest_values.c split.c) \
    tests/fuzz/nginx.c
fuzz_conf = $(wildcard consumers/conf/*.c) consumers/base/buf.c \
    consumers/base/clock.c consumers/base/text.c
fuzz_avro = $(wildcard consumers/registry/avro*.c) consumers/base/buf.c \
    consumers/base/clock.c consumers/base/text.c
fuzz_row = $(wildcard consumers/row/*.c consumers/record/*.c) $(fuzz_conf)
fuzz_flags = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer
fuzz_cc = $(shell command -v clang || compgen -G '/usr/bin/clang-[0-9]*' \
    | sort -rV | head -n 1)
fuzz_compile = -std=c11 -D_GNU_SOURCE -O1 -g $(warnings) $(fuzz_flags) \
    -DSLUICE_ZSTD=1 -DSLUICE_BROTLI=1 -Icommon -Iconsumers -Ingx_module $(fuzz_include) \
    $(pkg_cflags) -MMD -MP -c -o $@ $<
fuzz_libs = $(pkg_libs) -lz -lzstd -lbrotlidec -lm -lpthread
replays = $(fuzz_targets:%=$(BUILD)/fuzz/replay-%)
fuzzers = $(fuzz_targets:%=$(BUILD)/fuzz/fuzz-%)

$(replays): $(BUILD)/fuzz/replay-%: $(BUILD)/obj-replay/tests/fuzz/%.o \
    $(BUILD)/obj-replay/tests/fuzz/replay.o \
    $(fuzz_sources:%.c=$(BUILD)/obj-replay/%.o)
	$(step) link $@
	@mkdir -p $(@D)
	@gcc $(fuzz_flags) -o $@ $^ $(fuzz_libs)

$(fuzzers): $(BUILD)/fuzz/fuzz-%: $(BUILD)/obj-fuzz/tests/fuzz/%.o \
    $(fuzz_sources:%.c=$(BUILD)/obj-fuzz/%.o)
	$(step) link $@
	@mkdir -p $(@D)
	@$(fuzz_cc) -fsanitize=fuzzer $(fuzz_flags) -o $@ $^ $(fuzz_libs)

fuzz_receipt = ngx_module/kafka/ngx_kafka_receipt.c
fuzz_module = $(fuzz_split) $(fuzz_receipt) tests/fuzz/receipt.c \
    tests/fuzz/split.c
fuzz_module_objects = $(fuzz_module:%.c=$(BUILD)/obj-replay/%.o) \
    $(fuzz_module:%.c=$(BUILD)/obj-fuzz/%.o)

$(BUILD)/fuzz/replay-avro: $(fuzz_avro:%.c=$(BUILD)/obj-replay/%.o)
$(BUILD)/fuzz/fuzz-avro: $(fuzz_avro:%.c=$(BUILD)/obj-fuzz/%.o)
$(BUILD)/fuzz/replay-conf: $(fuzz_conf:%.c=$(BUILD)/obj-replay/%.o)
$(BUILD)/fuzz/fuzz-conf: $(fuzz_conf:%.c=$(BUILD)/obj-fuzz/%.o)
$(BUILD)/fuzz/replay-row: $(fuzz_row:%.c=$(BUILD)/obj-replay/%.o)
$(BUILD)/fuzz/fuzz-row: $(fuzz_row:%.c=$(BUILD)/obj-fuzz/%.o)
$(BUILD)/fuzz/replay-split: $(fuzz_split:%.c=$(BUILD)/obj-replay/%.o)
$(BUILD)/fuzz/fuzz-split: $(fuzz_split:%.c=$(BUILD)/obj-fuzz/%.o)
$(BUILD)/fuzz/replay-receipt: $(fuzz_receipt:%.c=$(BUILD)/obj-replay/%.o)
$(BUILD)/fuzz/fuzz-receipt: $(fuzz_receipt:%.c=$(BUILD)/obj-fuzz/%.o)

$(fuzz_module_objects): fuzz_include = $(fuzz_nginx)
$(fuzz_module_objects): | module

$(BUILD)/obj-replay/%.o: %.c
	$(step) cc '$< (replay)'
	@mkdir -p $(@D)
	@gcc $(fuzz_compile)

$(BUILD)/obj-fuzz/%.o: %.c
	$(step) cc '$< (fuzz)'
	@mkdir -p $(@D)
	@$(fuzz_cc) -fsanitize=fuzzer-no-link $(fuzz_compile)

-include $(wildcard $(BUILD)/obj-replay/*/*.d $(BUILD)/obj-replay/*/*/*.d \
    $(BUILD)/obj-fuzz/*/*.d $(BUILD)/obj-fuzz/*/*/*.d)

fuzzers: $(fuzzers)

fuzz: ## run each fuzz target for FUZZ_SECONDS=60 (T=NAME: one)
	@stack/deps fuzz
	@$(MAKE) --no-print-directory fuzzers
	@stack/fuzz $(FUZZ_SECONDS) $(or $(T),$(fuzz_targets))


# The stack: Kafka, PostgreSQL, nginx and consumers.

deps: ## install what is missing, by apt
	@stack/deps run

run: ## see it all work: build, start, post, show the rows, stay
	@stack/deps run
	@$(MAKE) --no-print-directory all
	@stack/stack run

up: ## the same stack in the background; see build/stack.env
	@stack/deps run
	@$(MAKE) --no-print-directory all
	@stack/stack up

down: ## stop it; the data stays
	@stack/stack down
	@[ ! -d $(BUILD)/tests ] || stack/tests stop


# Three hosts on this machine: network namespaces, no others are touched.

cluster_command = SLUICE_BUILD='$(BUILD)' /usr/bin/python3 -B -m tests.cluster

cluster: ## three hosts on this machine: break them, count what was lost
	@stack/deps check
	@$(MAKE) --no-print-directory all
	@$(cluster_command) tour

cluster-up: ## the same hosts in the background; see build/cluster/state.json
	@stack/deps check
	@$(MAKE) --no-print-directory all
	@$(cluster_command) up

cluster-down: ## stop them
	@[ ! -f $(BUILD)/cluster/state.json ] || $(cluster_command) down

KILLS ?= 100
RECORDS ?= 1000000

campaign: ## faults drawn by a seed, on the same hosts (SEED= KILLS= RECORDS= SHRINK=1)
	@stack/deps check
	@$(MAKE) --no-print-directory all
	@$(cluster_command).campaign --seed $(SEED) --kills $(KILLS) \
	    --records $(RECORDS) $(if $(SHRINK),--shrink)


# Tests.

programs: all unit $(OUT)/test/sluice-consumer $(OUT)/test/schema \
    $(OUT)/test/tuples $(OUT)/test/faults.so \
    $(OUT)/test/slow.so $(OUT)/test/mock $(OUT)/test/simulate $(replays)

check: ## unit tests and tests on real servers (T=NAME: one)
	@stack/deps check
	@stack/tests check '$(T)'

SEED ?= $(shell date +%s)
HISTORIES ?= 1000000

simulate: $(OUT)/test/simulate ## histories of the daemon (SEED=, HISTORIES=)
	@$(OUT)/test/simulate --seed $(SEED) --histories $(HISTORIES)

# a history has to go wrong without each of them
mutants: $(OUT)/test/simulate ## take rules out of copies (RULE=text: some)
	@tests/simulation/mutants '$(RULE)' '$(subst -o $@ $<,,$(compile))' \
	    '$(CC) $(cflags) $(simulated)' \
	    '$(pkg_libs) -lz -lm -lpthread' $(simulate_objects)

faults: ## the long forms of the fault tests
	@stack/deps check
	@stack/tests faults '$(T)'

asan: ## module and consumer tests under ASan and UBSan
	@stack/deps check
	@stack/tests asan '$(T)'

check-compat: ## the tests on other versions (T=debian13: a stage; ONLY=)
	@stack/deps compat
	@ONLY='$(ONLY)' stack/compat $(T)

valgrind: ## module tests under memcheck (ONLY=: one); a stage of check-compat
	@stack/deps compat
	@ONLY='$(ONLY)' stack/compat valgrind

lint: ## compiler warnings, cppcheck, shellcheck, style
	@stack/deps lint
	@stack/lint

docs: ## the documentation as a site: build/site/html
	@stack/docs

rooms: all ## the rooms of the code, top floor first, and what each is for
	@tests/rooms floors

bench: ## measure side by side (QUICK=1: 3 minutes, the README's table)
	@stack/deps bench
	@$(MAKE) --no-print-directory all $(BUILD)/bench/producer
	@BUILD='$(BUILD)' QUICK='$(QUICK)' bench/run

# what is given on the command line, as it is
plan: ## hosts that a load takes (EVENTS=100000 BYTES= DAYS= GROWTH= …)
	@/usr/bin/python3 -B bench/plan.py $(filter-out BUILD=%,$(MAKEOVERRIDES))

bench-count: ## instructions a request and a row, under callgrind
	@stack/deps check
	@$(MAKE) --no-print-directory all
	@BUILD='$(BUILD)' bench/count

$(BUILD)/bench/producer: $(OUT)/obj/bench/producer.o
	$(step) link $@
	@mkdir -p $(@D)
	@$(link)


# Packagers set DESTDIR; the module goes where nginx looks for it.

modules_dir = $(or $(MODULES_DIR),$(shell $(NGINX) -V 2>&1 \
    | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p'),$(PREFIX)/lib/nginx/modules)
doc_dir = $(DESTDIR)$(PREFIX)/share/doc/sluice
# folders that pages link to and that are not installed
unread = common|consumers|ngx_module|stack|tests
unit_dir = $(DESTDIR)$(PREFIX)/lib/systemd/system

install: all ## install below DESTDIR and PREFIX
	install -D -m 0644 $(module_so) -t $(DESTDIR)$(modules_dir)
	install -D -m 0755 $(OUT)/consumers/sluice-consumer -t $(DESTDIR)$(PREFIX)/sbin
	install -D -m 0644 share/sluice/* docs/openapi.yaml docs/openapi-formats.yaml docs/sluice-consumer.schema.json -t $(DESTDIR)$(PREFIX)/share/sluice
	find monitoring -type f -exec install -D -m 0644 '{}' '$(DESTDIR)$(PREFIX)/share/sluice/{}' \;
	install -D -m 0644 README.md CHANGES.md CONTRIBUTING.md SECURITY.md LICENSE nginx.conf.example -t $(doc_dir)
	sed -i 's,/usr/local/share/,$(PREFIX)/share/,' $(doc_dir)/nginx.conf.example
	install -D -m 0644 docs/man/*.5 -t $(DESTDIR)$(PREFIX)/share/man/man5
	install -D -m 0644 docs/man/*.8 -t $(DESTDIR)$(PREFIX)/share/man/man8
	install -D -m 0644 packaging/systemd/sluice-consumer* -t $(unit_dir)
	install -D -m 0644 packaging/systemd/nginx.service.d/* -t $(unit_dir)/nginx.service.d
	sed -i 's,/usr/sbin/,$(PREFIX)/sbin/,' $(unit_dir)/sluice-consumer@.service
	find docs examples bench/*.md bench/results/*.svg -type f -exec install -D -m 0644 '{}' '$(doc_dir)/{}' \;
	sed -Ei 's,\[([^]]*)\]\((\.\./)*($(unread))/[^)]*\),\1,g' $(doc_dir)/CONTRIBUTING.md $(doc_dir)/docs/architecture.md

deb: ## build Debian packages into build/deb (SUITE=trixie: another Debian's)
	@stack/deps $(if $(SUITE),release,deb)
	@packaging/build-deb $(SUITE)

release: ## all that is published, into build/release (KEY=: who signs)
	@stack/deps release
	@packaging/release '$(KEY)'

container: ## build both images where there is no Docker (root)
	@stack/container build

clean: down cluster-down ## remove the build folder and its servers' data
	rm -rf $(build_path)


.PHONY: FORCE all asan bench bench-count campaign check check-compat clean cluster \
    cluster-down cluster-up consumers container deps docs down faults fuzz fuzzers help install lint module mutants plan programs \
    release rooms run simulate unit up valgrind
