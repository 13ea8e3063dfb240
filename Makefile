# jobd. `make help` says what there is to make.
#   SAN=address or SAN=thread builds with sanitizers, beside the plain build
#   T=queues builds and runs one test, V=1 shows the commands, STRICT=1 makes warnings errors
#   CC, CPPFLAGS, CFLAGS, LDFLAGS, AR, OBJCOPY and PKG_CONFIG are yours; a cross compiler as CC finds
#   its own ar and objcopy

# All processors build, unless -j says how many. Goals that are named together are made one after the other, but for deps
# and one that waits for it.
SERIAL := $(filter -j%,$(shell printenv MAKEFLAGS))$(word 2,$(filter-out deps,$(MAKECMDGOALS)))$(if \
            $(filter deps,$(MAKECMDGOALS)),$(filter-out deps all jobd run test install,$(MAKECMDGOALS)))
ifeq ($(MAKELEVEL)$(SERIAL),0)
MAKEFLAGS := -j$(shell nproc) $(MAKEFLAGS)
endif

PREFIX  ?= /usr/local
DESTDIR ?=
LIBDIR  ?= $(PREFIX)/lib
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
EXAMPLEDIR ?= $(PREFIX)/share/doc/jobd/examples
CC      ?= cc
# Under sanitizers only what their reports print, lines: whole, the tests' files fill 3 GB.
CFLAGS  ?= -O2 -g$(if $(SAN),1)
# Those that belong to the compiler.
ifeq ($(origin AR),default)
AR      := $(shell $(CC) -print-prog-name=ar)
endif
OBJCOPY ?= $(shell $(CC) -print-prog-name=objcopy)
PKG_CONFIG ?= pkg-config
VERSION := $(shell sed -n 's/^\#define JOBD_VERSION "\(.*\)"/\1/p' include/jobd/queue.h)
SONAME  := libjobd.so.0
B       := build/$(or $(SAN),default)
Q       := $(if $(V),,@)

# ---- packages of Debian 12

BUILD_PACKAGES := gcc libc6-dev binutils pkg-config libmicrohttpd-dev libcjson-dev libbsd-dev \
                  libcurl4-gnutls-dev libsqlite3-dev zlib1g-dev libgnutls28-dev nettle-dev libpq-dev
TEST_PACKAGES  := libcmocka-dev prometheus curl openssl python3 nodejs postgresql tzdata
CHECK_PACKAGES := clang clang-19 clang-format clang-tidy libclang-rt-14-dev cppcheck mandoc systemd g++ gcc-11 \
                  gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-i686-linux-gnu libc6-dev-arm64-cross \
                  libc6-dev-armhf-cross libc6-dev-i386-cross dpkg-dev gcovr slowhttptest wrk buildah \
                  debootstrap procps chromium fonts-dejavu-core nginx-light haproxy caddy qemu-user-static \
                  abigail-tools ruby php-cli imagemagick zsh fish podman runc catatonit

# ---- flags

WARNINGS := $(if $(STRICT),-Werror) -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wformat=2 -Wno-format-nonliteral -Wundef -Wvla -Wcast-qual \
            -Wwrite-strings -Wpointer-arith
SANITIZE_address := -fsanitize=address,undefined -fno-sanitize-recover=all
SANITIZE_thread  := -fsanitize=thread
# Landlock would keep it from writing down what it saw.
SANITIZE_coverage := --coverage -O0 -fprofile-update=atomic -DSANDBOX_WHOLE=0
SANITIZE := $(SANITIZE_$(SAN))
MACHINE := $(shell $(CC) -dumpmachine)
# Where there is no compiler yet, `make deps` gets one.
$(if $(MACHINE),$(if $(findstring linux,$(MACHINE)),,$(error jobd is for Linux, and this compiler for $(MACHINE):\
  there is no epoll and no signalfd)))
# 2 where the compiler or libc warns that it does not know 3; none where the user has a level.
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,$\
             $(if $(filter -O%,$(filter-out -O0,$(CFLAGS))),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(if $\
               $(shell echo '\#include <stdlib.h>' | \
                 $(CC) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fsyntax-only -xc - 2>&1),2,3)))
# OpenSSF's flags for hardening; not under sanitizers, which want to see for themselves.
HARDENED := -fstack-protector-strong $(if $(filter arm%,$(MACHINE)),,-fstack-clash-protection) \
            -fno-strict-overflow $(FORTIFY) $(if $(filter x86_64-%,$(MACHINE)),-fcf-protection=full)
HARDEN   := $(if $(SAN),,$(HARDENED))
HARDEN_LINK := $(if $(SAN),,-pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)
SHARED_LINK := -Wl,-soname,$(SONAME),--version-script,src/dist/libjobd.map,--no-undefined-version \
               $(if $(SAN),,-Wl,-z,defs,-z,relro,-z,now,-z,noexecstack)
# A program's objects; the library's may also become part of somebody's shared object. Within it
# a call stays a call of its own function, so that this costs nothing.
PIC      := -fPIE
LIBRARY_PIC := -fPIC -fno-semantic-interposition
BASE     := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -Isrc -fvisibility=hidden -pthread -MMD -MP
ALL_CFLAGS = $(BASE) $(INCLUDES) $(WARNINGS) $(HARDEN) $(SANITIZE) $(PIC) $(CPPFLAGS) $(CFLAGS)
PACKAGES := libmicrohttpd libcjson libcurl sqlite3 zlib gnutls nettle libpq
# A compiler knows its own machine's folder; that of another one would be wrong.
INCLUDES := $(patsubst -I%,-isystem%,$(filter-out $(addprefix -I/usr/include/%-linux-,gnu gnueabi gnueabihf),$\
              $(shell $(PKG_CONFIG) --cflags-only-I $(PACKAGES) 2>/dev/null)))
LIBS     := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null || \
              echo -lmicrohttpd -lcjson -lcurl -lsqlite3 -lz -lgnutls -lnettle -lpq)
TEST_LIBS := -lcmocka

# `make deps run` where nothing is installed yet: once it is, this file is read again, as it asks compiler and libraries.
ifneq ($(and $(filter deps,$(MAKECMDGOALS)),$(filter-out deps,$(MAKECMDGOALS))),)
ifeq ($(and $(MACHINE),$(shell $(PKG_CONFIG) --exists $(PACKAGES) 2>/dev/null && echo all)),)
include build/deps.mk
build/deps.mk:
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)mkdir -p $(@D) && : >$@
endif
endif

# ---- what is made of what

# libjobd: what needs neither HTTP nor a disk; and of that what jobd itself does not use.
LIBRARY := $(wildcard src/engine/*.c) $(addprefix src/base/,clock.c heap.c pages.c rate.c ring.c token_bucket.c) \
           $(addprefix src/run/,call.c call_group.c pool.c report.c wait_sync.c)
LIBRARY_ONLY := $(addprefix $(B)/src/run/,call.o call_group.o)
LIBRARY_OBJECTS := $(LIBRARY:%.c=$(B)/%.o)
SRC     := $(filter-out src/http/tls_none.c,$(wildcard src/*.c src/*/*.c))
OBJECTS := $(SRC:%.c=$(B)/%.o)
PARTS   := $(filter-out $(B)/src/main.o,$(OBJECTS))
ALL_TESTS := $(wildcard tests/*/test_*.c)
tests_named = $(foreach t,$(1),$(filter %/test_$t.c,$(ALL_TESTS)))
# Run a second time with --data.
DURABLE_TESTS := $(patsubst %.c,$(B)/%,$(call tests_named,batches beside change do exec jobs limits lists memory page put put_after queues recurring runners work workers))
HELPERS := $(patsubst %.c,$(B)/%.o,$(filter-out $(ALL_TESTS) tests/examples/example.c tests/fuzz/fuzz_main.c \
             tests/support/failing.c,$(wildcard tests/*/*.c tests/*/*/*.c)))
TESTS   := $(ALL_TESTS:%.c=$(B)/%)
CHOSEN  := $(if $(T),$(patsubst %.c,$(B)/%,$(or $(call tests_named,$(T)),$(error there is no test named $(T)))),$(TESTS))
SOURCES := $(wildcard src/*.c src/*/*.[ch] include/jobd/*.h tests/*/*.[ch] tests/*/*/*.[ch] bench/*.[ch] bench/peers/*.[ch])

# What libjobd.a is used by, for whoever links it.
LIBRARY_EXAMPLES := $(addprefix tests/examples/,example.c group.cc group.py)

# A page for each public header, made from it.
HEADERS   := $(sort $(wildcard include/jobd/*.h))
HEADER_PAGES := $(HEADERS:include/jobd/%.h=$(B)/man/jobd_%.3)
MAN_PAGES := src/dist/jobd.1 src/dist/jobd.3 src/dist/jobd.json.5 src/dist/jobd.7 $(HEADER_PAGES)
MAN3DIR   := $(PREFIX)/share/man/man3

all: jobd $(B)/libjobd.a $(B)/$(SONAME) $(HEADER_PAGES)  ## build ./jobd and libjobd

jobd: $(B)/jobd
	$(Q)cp --remove-destination $< $@ # it may be running

$(B)/jobd: $(filter-out $(LIBRARY_ONLY),$(OBJECTS))
	$(Q)$(CC) $(ALL_CFLAGS) $(HARDEN_LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

# With -flto gcc would put its own intermediate code there, in which nothing can be made local.
NO_MORE_LTO := $(if $(findstring -flto,$(CFLAGS)),$(shell echo | \
  $(CC) -r -nostdlib -flinker-output=nolto-rel -o /dev/null -xc - 2>/dev/null && echo -flinker-output=nolto-rel))

# One object in which all but jobd_* is local, so that names in a user's program cannot clash; and no
# group of sections is left, as its like elsewhere would replace it, though what is local cannot be.
$(B)/libjobd.a: $(LIBRARY_OBJECTS)
	$(Q)$(CC) $(LIBRARY_PIC) $(CFLAGS) -r -nostdlib $(NO_MORE_LTO) -o $(B)/libjobd.o $(LIBRARY_OBJECTS)
	$(Q)$(OBJCOPY) --localize-hidden --remove-section=.group $(B)/libjobd.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/libjobd.o

# What others may call is listed in libjobd.map.
$(B)/$(SONAME): $(LIBRARY_OBJECTS) src/dist/libjobd.map
	$(Q)$(CC) $(LIBRARY_PIC) $(SANITIZE) $(CFLAGS) -shared -pthread $(SHARED_LINK) $(LDFLAGS) -o $@ $(LIBRARY_OBJECTS)

$(B)/%.o: %.c Makefile
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(HEADER_PAGES): $(B)/man/jobd_%.3: include/jobd/%.h src/dist/man3.awk src/dist/jobd.3
	$(Q)mkdir -p $(@D)
	$(Q)awk -v date="$$(sed -n 's/^\.Dd //p' src/dist/jobd.3)" -v others='jobd_call jobd_group jobd_pool jobd_queue' \
	  -f src/dist/man3.awk $< >$@

$(B)/src/api/page.o: $(wildcard src/api/page/*)
$(B)/src/api/openapi.o: src/api/openapi/openapi.json
$(LIBRARY_OBJECTS): PIC := $(LIBRARY_PIC)

# A number of JSON, a double, is compared with numbers that have names; cmocka 2 wants other names
# than cmocka 1 has.
$(B)/tests/%.o: WARNINGS += -Wno-enum-float-conversion -Wno-deprecated-declarations
$(B)/tests/%.o: BASE += -Itests -DJOBD_BINARY='"$(B)/jobd"' -DEXAMPLE_BINARY='"$(B)/tests/example"' -DNEWER_BINARY='"$(B)/tests/newer"'

$(TESTS): %: %.o $(PARTS) $(HELPERS)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(B)/tests/example: tests/examples/example.c $(B)/libjobd.a
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(SANITIZE) -Iinclude $(CFLAGS) $(LDFLAGS) -o $@ $^ -pthread

# A jobd that knows a newer format of what several servers share, for the test of two versions beside
# each other.
NEWER := $(patsubst src/%.c,$(B)/newer/src/%.o,$(wildcard src/ledger/*.c))

$(B)/newer/%.o: %.c Makefile
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DENTRY_FORMAT_NEWEST=2 -c -o $@ $<

$(B)/tests/newer: $(filter-out $(B)/src/ledger/%,$(OBJECTS)) $(NEWER)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(OBJECTS:.o=.d) $(NEWER:.o=.d) $(TESTS:=.d) $(HELPERS:.o=.d)

ifneq ($(filter deps,$(MAKECMDGOALS)),)
$(OBJECTS) $(NEWER) $(TESTS:=.o) $(HELPERS): | deps
endif

# ---- use

# The tests start a PostgreSQL of their own: Debian shall not start one, where it has not yet.
CLUSTERS := /etc/postgresql-common/createcluster.conf
NO_CLUSTER = test -e $(CLUSTERS) || { mkdir -p $(dir $(CLUSTERS)) && echo 'create_main_cluster = false' >$(CLUSTERS); };

deps:  ## install what building and testing need (Debian, as root)
	$(Q)dpkg -s $(BUILD_PACKAGES) $(TEST_PACKAGES) >/dev/null 2>&1 || \
	  { $(NO_CLUSTER) apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \
	    --no-install-recommends -o Dpkg::Options::=--force-confold $(BUILD_PACKAGES) $(TEST_PACKAGES); }

deps-check: deps  ## install what `make check` and the longer tests need beyond that
	$(Q)dpkg -s $(CHECK_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	    $(CHECK_PACKAGES); }
	$(Q)test -d build/axe || ! command -v npm >/dev/null || \
	  npm install --prefix build/axe --no-audit --no-fund --silent axe-core@4.14.1 || \
	  echo 'axe-core cannot be installed: the test of the page goes without it'

run: jobd  ## build and start it
	./jobd

# With sanitizers its own tests are enough.
LEDGER_TESTS := $(if $(SAN),,$(DURABLE_TESTS) $(patsubst %.c,$(B)/%,$(call tests_named,callbacks)))

# Workers that are compiled, where there is a compiler.
WORKERS := $(addprefix build/examples/,$(foreach w,go:worker-go rustc:worker-rs javac:worker.jar,$\
             $(if $(shell command -v $(firstword $(subst :, ,$w))),$(lastword $(subst :, ,$w)))))

build/examples/worker-go: tests/examples/worker.go
	$(Q)mkdir -p $(@D)
	$(Q)go build -o $@ $<

build/examples/worker-rs: tests/examples/worker.rs
	$(Q)mkdir -p $(@D)
	$(Q)env -u MAKEFLAGS -u MFLAGS rustc -O -o $@ $<

build/examples/worker.jar: tests/examples/Worker.java
	$(Q)mkdir -p $(@D)/java
	$(Q)javac -d $(@D)/java $< && jar --create --file $@ --main-class Worker -C $(@D)/java .

test: $(B)/jobd $(B)/tests/example $(B)/tests/newer build/default/tests/failing.so $(WORKERS) $(CHOSEN)  ## run all tests, or one with T=queues
	$(Q)sh tests/run.sh $(CHOSEN) $(if $(T),,--durable $(DURABLE_TESTS) --ledger $(LEDGER_TESTS))

# ---- checks

CHECKS := lint analyze check-man check-binary check-units check-install check-abi check-dist check-builds

check:  ## all that can be checked, sanitizers included
	$(Q)for check in $(CHECKS) test; do $(MAKE) --no-print-directory STRICT=1 $$check || exit 1; done
	$(Q)for san in address thread; do $(MAKE) --no-print-directory STRICT=1 SAN=$$san test || exit 1; done

lint: $(OBJECTS) $(B)/libjobd.a $(B)/$(SONAME)  ## format, floors, circles, forbidden functions; that the soak's checks can complain
	$(Q)clang-format --dry-run -Werror $(SOURCES)
	$(Q)sh tests/check/lint.sh
	$(Q)sh tests/check/circles.sh $(OBJECTS)
	$(Q)sh tests/check/map.sh
	$(Q)sh tests/check/symbols.sh $(B) $(SONAME)
	$(Q)python3 tests/long/soak.py --self-test

TIDY := -*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,$\
        -bugprone-reserved-identifier,-bugprone-assignment-in-if-condition,$\
        -bugprone-narrowing-conversions,-bugprone-macro-parentheses,-bugprone-sizeof-expression,$\
        -clang-analyzer-security.insecureAPI.*,-clang-analyzer-valist.Uninitialized

ANALYSIS := $(filter-out -MMD -MP,$(BASE)) $(INCLUDES)
SAFETY   := $(WARNINGS) -Werror -Wthread-safety -Wthread-safety-beta -O2 -fsyntax-only
ANALYSED := $(SRC:%.c=build/analysed/%.ok)

analyze:  ## both clangs' thread-safety analysis, clang-tidy, cppcheck
	$(Q)$(MAKE) --no-print-directory -k $(ANALYSED) build/analysed/cppcheck.ok

$(ANALYSED): build/analysed/%.ok: %.c Makefile $(wildcard src/*/*.h include/jobd/*.h)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(ANALYSIS) $(SAFETY) $<
	$(Q)clang-19 $(ANALYSIS) $(SAFETY) -fexperimental-late-parse-attributes -DLOCK_NAMES=1 $<
	$(Q)clang-tidy --quiet --warnings-as-errors='*' --checks='$(TIDY)' $< -- $(ANALYSIS) 2>/dev/null
	$(Q)touch $@

build/analysed/cppcheck.ok: Makefile $(wildcard src/*.c src/*/*.[ch] include/jobd/*.h)
	$(Q)mkdir -p $(@D)
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
	  --suppress=missingInclude --suppress=ctuuninitvar:src/base/problem.c \
	  --include=/usr/include/bsd/sys/queue.h \
	  --include=/usr/include/bsd/sys/tree.h -Iinclude -Isrc -D_GNU_SOURCE src
	$(Q)touch $@

check-man: $(HEADER_PAGES)  ## lint the man pages
	$(Q)mandoc -T lint -W warning $(MAN_PAGES) >&2

check-binary: $(B)/jobd  ## the binary is hardened
	$(Q)sh tests/check/binary.sh $(B)/jobd

check-units:  ## systemd has nothing to say against the units
	$(Q)sh tests/check/units.sh src/dist/jobd.service

check-install:  ## what is installed can be used from C, C++ and a plugin; uninstall leaves nothing behind
	$(Q)rm -rf $(B)/root && $(MAKE) --no-print-directory install DESTDIR=$(B)/root PREFIX=/usr
	$(Q)CC='$(CC)' CXX='$(CXX)' sh tests/check/install.sh $(B)/root $(B)/installed
	$(Q)$(MAKE) --no-print-directory uninstall DESTDIR=$(B)/root PREFIX=/usr
	$(Q)test -z "$$(find $(B)/root ! -type d)"

check-abi: $(B)/$(SONAME)  ## programs that use libjobd.so find all of it where it was
	$(Q)$(call needs,abidw)
	$(Q)python3 tests/check/abi.py $(B)/$(SONAME) tests/check/abi.txt

abi: $(B)/$(SONAME)  ## write what check-abi compares with into tests/check/abi.txt
	$(Q)python3 tests/check/abi.py --write $< tests/check/abi.txt

COMPILERS ?= gcc gcc-11 clang clang-19

check-builds:  ## other compilers, distributions' flags, other machines; COMPILERS='gcc-13 clang-21'
	$(Q)MAKE='$(MAKE)' sh tests/check/builds.sh $(COMPILERS)

format:  ## format the sources
	$(Q)clang-format -i $(SOURCES)

man: $(B)/jobd $(B)/tests/server/test_options  ## write the options into src/dist/jobd.1
	$(Q)WRITE_MAN=1 sh tests/run.sh $(B)/tests/server/test_options

completions: $(B)/tests/client/test_completions  ## write the options into src/dist/completions
	$(Q)WRITE_COMPLETIONS=1 sh tests/run.sh $<

# ---- longer tests

include tests/tests.mk

# ---- benchmark

include bench/bench.mk

# ---- one static file

include src/dist/static.mk

# ---- source archive and packages

include src/dist/packages.mk

# ---- for check-builds

# Tests are compiled, not linked, which says nothing new.
everything: binaries $(B)/tests/example $(TESTS:=.o) $(HELPERS) $(BENCH_TOOLS)
binaries: $(B)/jobd $(B)/libjobd.a $(B)/$(SONAME)
objects: $(OBJECTS) $(B)/libjobd.a $(B)/$(SONAME)

# ---- install

install: all  ## PREFIX=/usr/local, DESTDIR; LIBDIR, UNITDIR, ZSHDIR and EXAMPLEDIR below it
	$(Q)install -D -m 755 jobd $(DESTDIR)$(PREFIX)/bin/jobd
	$(Q)install -D -m 644 $(B)/libjobd.a $(DESTDIR)$(LIBDIR)/libjobd.a
	$(Q)install -m 755 $(B)/$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	$(Q)ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libjobd.so
	$(Q)install -d $(DESTDIR)$(PREFIX)/include/jobd $(DESTDIR)$(LIBDIR)/pkgconfig
	$(Q)install -m 644 include/jobd/*.h $(DESTDIR)$(PREFIX)/include/jobd
	$(Q)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR:$(PREFIX)/%=$${prefix}/%)' 'includedir=$${prefix}/include' \
	  '' 'Name: jobd' 'Description: bounded job queues and a thread pool' 'Version: $(VERSION)' \
	  'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -ljobd -pthread' > $(DESTDIR)$(LIBDIR)/pkgconfig/jobd.pc
	$(Q)install -d $(DESTDIR)$(EXAMPLEDIR)
	$(Q)install -m 644 $(LIBRARY_EXAMPLES) $(DESTDIR)$(EXAMPLEDIR)
	$(Q)for page in $(MAN_PAGES); do \
	  install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	$(Q)for page in $(notdir $(HEADER_PAGES)); do \
	  for name in $$(sed -n '/^\.Nd/q; s/^\.Nm \([^ ]*\).*/\1/p' $(B)/man/$$page); do \
	    [ $$name.3 = $$page ] || ln -sf $$page $(DESTDIR)$(MAN3DIR)/$$name.3 || exit 1; done; done
	$(Q)install -D -m 644 src/dist/completions/jobd.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/jobd
	$(Q)install -D -m 644 src/dist/completions/_jobd $(DESTDIR)$(ZSHDIR)/_jobd
	$(Q)install -D -m 644 src/dist/completions/jobd.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/jobd.fish
	$(Q)install -d $(DESTDIR)$(PREFIX)/share/jobd/monitoring
	$(Q)install -m 644 src/dist/monitoring/* $(DESTDIR)$(PREFIX)/share/jobd/monitoring
	$(Q)install -d $(DESTDIR)$(UNITDIR)
	$(Q)sed 's,/usr/local,$(PREFIX),' src/dist/jobd.service > $(DESTDIR)$(UNITDIR)/jobd.service
	$(Q)install -m 644 src/dist/jobd.socket $(DESTDIR)$(UNITDIR)/jobd.socket

uninstall:  ## remove what install put there
	$(Q)find $(DESTDIR)$(MAN3DIR) -type l -lname 'jobd_*.3' -delete
	$(Q)rm -rf $(DESTDIR)$(PREFIX)/include/jobd $(DESTDIR)$(PREFIX)/share/jobd
	$(Q)rm -f $(DESTDIR)$(PREFIX)/bin/jobd $(addprefix $(DESTDIR)$(LIBDIR)/,libjobd.a libjobd.so $(SONAME)) \
	  $(DESTDIR)$(LIBDIR)/pkgconfig/jobd.pc \
	  $(addprefix $(DESTDIR)$(EXAMPLEDIR)/,$(notdir $(LIBRARY_EXAMPLES))) \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/jobd \
	  $(DESTDIR)$(ZSHDIR)/_jobd \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/jobd.fish \
	  $(foreach p,$(notdir $(MAN_PAGES)),$(DESTDIR)$(PREFIX)/share/man/man$(patsubst .%,%,$(suffix $p))/$p) \
	  $(DESTDIR)$(UNITDIR)/jobd.service $(DESTDIR)$(UNITDIR)/jobd.socket

clean:  ## remove all that was made
	$(Q)rm -rf build jobd

help:  ## say this
	$(Q)sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile tests/tests.mk bench/bench.mk src/dist/*.mk | sort | awk -F'\t' '{printf "  %-15s %s\n", $$1, $$2}'

.PHONY: all deps deps-check run test check lint analyze check-man check-binary check-units check-install check-abi abi \
        check-builds everything binaries objects format man completions \
        install uninstall clean help
.SECONDARY:
.DELETE_ON_ERROR:
