# Sluice: HTTP to Kafka to PostgreSQL.  "make help" lists the targets.

SHELL = /bin/bash
.DEFAULT_GOAL = all
.DELETE_ON_ERROR:

BUILD ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
NGINX ?= $(shell command -v nginx || echo /usr/sbin/nginx)
NGINX_SRC ?=
T ?=

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

warnings = -Wall -Wextra -Werror
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

packages = rdkafka libpq libcjson libmicrohttpd libpcre2-8
# expanded in recipes only, when "make deps" may just have installed them
pkg_cflags = $(shell pkg-config --cflags $(packages))
pkg_libs = $(shell pkg-config --libs $(packages))

sources = $(wildcard common/*.c consumers/*.c)
objects = $(sources:%.c=$(OUT)/obj/%.o)
test_objects = $(sources:%.c=$(OUT)/obj-test/%.o)
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

-include $(wildcard $(OUT)/obj/*/*.d $(OUT)/obj/*/*/*.d $(OUT)/obj-test/*/*.d)

# rewritten only when it differs, so that another compiler rebuilds
$(OUT)/c.flags: now = $(CC) $(cflags)
$(OUT)/module.flags: now = $(CC) $(cflags) $(nginx_src)

$(OUT)/c.flags $(OUT)/module.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(now)' | cmp -s - $@ || echo '$(now)' >$@


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


# Tests.

programs: all unit $(OUT)/test/sluice-consumer

check: ## unit tests and tests on real servers (T=NAME: one)
	@stack/deps check
	@stack/tests check '$(T)'

faults: ## the long forms of the fault tests
	@stack/deps check
	@stack/tests faults '$(T)'

asan: ## module and consumer tests under ASan and UBSan
	@stack/deps check
	@stack/tests asan '$(T)'

lint: ## compiler warnings, cppcheck, shellcheck, style
	@stack/deps lint
	@stack/lint

bench: ## measure against bare nginx, Express and \copy
	@stack/deps bench
	@$(MAKE) --no-print-directory all
	@bench/run


# Packagers set DESTDIR; the module goes where nginx looks for it.

modules_dir = $(or $(MODULES_DIR),$(shell $(NGINX) -V 2>&1 \
    | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p'),$(PREFIX)/lib/nginx/modules)
doc_dir = $(DESTDIR)$(PREFIX)/share/doc/sluice

install: all ## install below DESTDIR and PREFIX
	install -D -m 0644 $(module_so) -t $(DESTDIR)$(modules_dir)
	install -D -m 0755 $(OUT)/consumers/sluice-consumer -t $(DESTDIR)$(PREFIX)/sbin
	install -D -m 0644 README.md CHANGES.md LICENSE nginx.conf.example -t $(doc_dir)
	cp -R --no-preserve=ownership,timestamps examples $(doc_dir)/

clean: down ## remove the build folder and its servers' data
	rm -rf $(build_path)


.PHONY: FORCE all asan bench check clean consumers deps down faults help \
    install lint module programs run unit up
