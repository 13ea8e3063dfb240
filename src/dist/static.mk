# One static file; part of the Makefile above. It serves no TLS, but its `post` runner reaches https services, by Mbed TLS;
# PostgreSQL it reaches without TLS. Everything else is in it, compiled with musl from
# Debian's source packages. apt fetches them and checks their signatures; its lists and sources are
# kept under build/static, so that neither root nor a change to the system is needed.
# FOR=arm64 or FOR=amd64, as Debian and containers call them, is for another machine than this one: by Debian's
# cross compiler and a musl of its own, in build/static-arm64.

MACHINE_amd64 := x86_64
MACHINE_arm64 := aarch64
HERE    := $(shell uname -m)
THERE   := $(if $(FOR),$(or $(MACHINE_$(FOR)),$(error FOR is amd64 or arm64)),$(HERE))
CROSS   := $(filter-out $(HERE),$(THERE))
EMULATOR := qemu-$(CROSS)-static
STATIC_PACKAGES := make gcc libc6-dev binutils ca-certificates dpkg-dev file libbsd-dev pkg-config tcl xz-utils \
                   $(if $(CROSS),gcc-$(subst _,-,$(CROSS))-linux-gnu libc6-dev-$(FOR)-cross,musl-tools)
STATIC  := build/static$(if $(CROSS),-$(FOR))
MUSL    := $(THERE)-linux-musl
STATIC_MAX_BYTES := 3145728

# libmicrohttpd 1.0 is not in Debian 12; the other parts are its own, with its security updates.
STATIC_PARTS := libmicrohttpd cjson curl mbedtls sqlite3 zlib nettle postgresql-15
SUITES_libmicrohttpd := debian|sid
SUITES_postgresql-15 := debian|bookworm
SUITES := debian|bookworm debian-security|bookworm-security
# A mirror may stand still for longer than its signature says; what it has must be no older than this.
LEAST_libmicrohttpd := 1.0.10
LEAST_cjson   := 1.7.15-1+deb12u4
LEAST_curl    := 7.88.1-10+deb12u15
LEAST_mbedtls := 2.28.3
LEAST_sqlite3 := 3.40.1-2+deb12u2
LEAST_zlib    := 1:1.2.13
LEAST_nettle  := 3.8.1
LEAST_postgresql-15 := 15.14-0+deb12u1
LEAST_musl    := 1.2.3

STATIC_FLAGS := -O2 -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong \
                -fstack-clash-protection -fno-strict-overflow \
                $(if $(filter x86_64,$(THERE)),-fcf-protection=full) \
                $(if $(filter aarch64,$(THERE)),-mno-outline-atomics) \
                -ffile-prefix-map=$(CURDIR)/= -Wa,--noexecstack
# musl's own start file that relocates the program itself: its wrapper knows no -static-pie.
STATIC_GCC  := $(if $(CROSS),$(CROSS)-linux-gnu-gcc,gcc)
STATIC_CC   := $(if $(CROSS),$(CURDIR)/$(STATIC)/musl/bin/musl-gcc,musl-gcc)
STATIC_AR    = $(shell $(STATIC_GCC) -print-prog-name=ar)
MUSL_LIB    := $(if $(CROSS),$(STATIC)/musl/lib,/usr/lib/$(MUSL))
MUSL_READY  := $(if $(CROSS),$(STATIC)/musl/ready)
KERNEL      := $(if $(CROSS),/usr/$(CROSS)-linux-gnu/include,/usr/include)
STATIC_LINK := -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack \
               -Wl,--gc-sections,--build-id=none -s
STATIC_OBJECTS := $(patsubst %.c,$(STATIC)/%.o,$(filter-out src/http/tls.c,$(SRC)) src/http/tls_none.c)

static: $(STATIC)/jobd $(STATIC)/LICENSES  ## build build/static/jobd, one file that needs no other, which serves no TLS; FOR=arm64

deps-static:  ## install what `make static` needs (Debian, as root); FOR=arm64
	$(Q)dpkg -s $(STATIC_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	    $(STATIC_PACKAGES); }

$(STATIC)/jobd: $(STATIC_OBJECTS) $(STATIC_PARTS:%=$(STATIC)/parts/%.a)
	$(Q)$(STATIC_CC) $(STATIC_LINK) -o $@ $(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $(STATIC_OBJECTS) \
	  $(STATIC_PARTS:%=$(STATIC)/parts/%.a) $(MUSL_LIB)/crtn.o
	$(Q)test "$$(stat -c %s $@)" -le $(STATIC_MAX_BYTES)

$(STATIC)/src/api/page.o: $(wildcard src/api/page/*)

$(STATIC)/src/%.o: src/%.c Makefile src/dist/static.mk $(STATIC_PARTS:%=$(STATIC)/parts/%.a) $(STATIC)/include/bsd
	$(Q)mkdir -p $(@D)
	$(Q)$(STATIC_CC) $(BASE) $(WARNINGS) -isystem $(STATIC)/include -DCURL_STATICLIB $(STATIC_FLAGS) -c -o $@ $<

# The kernel's headers, and no more than these of the C library of BSD, wherever Debian has them: others would bring
# glibc's.
BSD_HEADERS := cdefs.h queue.h tree.h
$(STATIC)/include/bsd:
	$(Q)mkdir -p $@/sys $(STATIC)/include/sys
	$(Q)cp $(BSD_HEADERS:%=$(or $(firstword $(wildcard /usr/include/bsd /usr/include/*/bsd)),/usr/include/bsd)/sys/%) $@/sys
	$(Q): >$(STATIC)/include/sys/cdefs.h
	$(Q)cp -rL $(KERNEL)/linux $(KERNEL)/asm-generic $(STATIC)/include/
	$(Q)cp -rL $(KERNEL)/$(if $(CROSS),,$(shell $(CC) -print-multiarch)/)asm $(STATIC)/include/
	$(Q)touch $@

# musl for another machine, with a wrapper around the compiler for it.
$(STATIC)/musl/ready: $(STATIC)/source/musl/unpacked
	$(Q)cd $(<D)/tree && { ./configure --target=$(MUSL) --prefix=$(CURDIR)/$(@D) --disable-shared --enable-wrapper=gcc \
	  CC=$(STATIC_GCC) AR=$(STATIC_AR) RANLIB=$(STATIC_GCC:gcc=ranlib) CFLAGS='$(STATIC_FLAGS)' && $(MAKE) && \
	  $(MAKE) install; } >../log 2>&1 || { tail ../log; exit 1; }
	$(Q)touch $@

# ---- sources

# apt with lists of its own. A part's folder below source/ is what Debian ships, its patches applied.
$(STATIC)/source/%/unpacked:
	$(Q)rm -rf $(@D) && mkdir -p $(@D)/apt/lists/partial $(@D)/apt/cache/archives/partial
	$(Q)for suite in $(foreach s,$(or $(SUITES_$*),$(SUITES)),'$s'); do \
	  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no]" \
	    "http://deb.debian.org/$${suite%|*} $${suite#*|} main"; done >$(@D)/apt/sources.list
	$(Q)cd $(@D) && for step in update 'source --only-source $*'; do \
	  apt-get -qq -o Dir::Etc::SourceList=$$PWD/apt/sources.list -o Dir::Etc::SourceParts=/dev/null \
	    -o Dir::State::Lists=$$PWD/apt/lists -o Dir::Cache=$$PWD/apt/cache \
	    -o APT::Sandbox::User=$$(id -un) $$step >apt/log 2>&1 || { cat apt/log; exit 1; }; done
	$(Q)cd $(@D) && version=$$(sed -n 's/^Version: //p' $*_*.dsc) && \
	  { dpkg --compare-versions "$$version" ge $(LEAST_$*) || \
	    { echo "$* is $$version; needed is $(LEAST_$*) or later"; exit 1; }; } && \
	  rm -rf apt && mv $*-*/ tree && echo "$$version" >unpacked

# ---- parts: an archive each, and what jobd includes of it

$(STATIC_PARTS:%=$(STATIC)/parts/%.a): $(MUSL_READY)

CONFIGURE = ./configure --quiet --host=$(MUSL) CC=$(STATIC_CC) CFLAGS='$(STATIC_FLAGS)' --disable-shared \
            --enable-static
# Debian's patches may leave what autoconf made older than what it is made of.
FRESH = find . \( -name aclocal.m4 -o -name configure -o -name Makefile.in -o -name '*.h.in' \) -exec touch {} +

$(STATIC)/parts/libmicrohttpd.a: $(STATIC)/source/libmicrohttpd/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/include
	$(Q)cd $(<D)/tree && { $(FRESH) && $(CONFIGURE) --disable-https --disable-doc --disable-examples \
	  --disable-tools --disable-curl --disable-bauth --disable-dauth --disable-postprocessor \
	  --disable-httpupgrade --disable-cookie && \
	  $(MAKE) -C src/microhttpd libmicrohttpd.la; } >../log 2>&1 || { tail ../log; exit 1; }
	$(Q)cp $(<D)/tree/src/include/microhttpd.h $(STATIC)/include/
	$(Q)cp $(<D)/tree/src/microhttpd/.libs/libmicrohttpd.a $@

# The side of the client, from TLS 1.2 on. Threads share its random numbers, which it would take from a file with musl.
$(STATIC)/parts/mbedtls.a: $(STATIC)/source/mbedtls/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/mbedtls/lib
	$(Q)sed -i -E -e 's,^//(#define MBEDTLS_THREADING_(C|PTHREAD))$$,\1,' \
	  -e 's,^(#define MBEDTLS_SSL_(SRV_C|PROTO_TLS1|PROTO_TLS1_1|CBC_RECORD_SPLITTING))$$,//\1,' \
	  $(<D)/tree/include/mbedtls/config.h
	$(Q)sed -i 's/defined(__linux__) && defined(__GLIBC__)/defined(__linux__)/' $(<D)/tree/library/entropy_poll.c
	$(Q)$(MAKE) -C $(<D)/tree/library CC=$(STATIC_CC) AR=$(STATIC_AR) CFLAGS='$(STATIC_FLAGS)' static >$(<D)/log 2>&1 || \
	  { tail $(<D)/log; exit 1; }
	$(Q)cp -r $(<D)/tree/include $(STATIC)/mbedtls/
	$(Q)cp $(<D)/tree/library/*.a $(STATIC)/mbedtls/lib/
	$(Q)rm -f $@ && $(STATIC_AR) rcsD $@ $(<D)/tree/library/*.o

# What the `post` runner and --health need: HTTP, names looked up in a thread, unix sockets.
$(STATIC)/parts/curl.a: $(STATIC)/source/curl/unpacked $(STATIC)/parts/mbedtls.a
	$(Q)mkdir -p $(@D) $(STATIC)/include/curl
	$(Q)cd $(<D)/tree && { $(FRESH) && $(CONFIGURE) --without-zlib --without-brotli \
	  --with-mbedtls=$(CURDIR)/$(STATIC)/mbedtls --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt \
	  --without-zstd --without-libpsl --without-libidn2 --without-nghttp2 --without-librtmp \
	  --without-libssh2 --without-libgsasl --without-ca-path \
	  --enable-threaded-resolver --enable-ipv6 \
	  $(addprefix --disable-,alt-svc aws cookies crypto-auth dict doh file ftp get-easy-options \
	    gopher hsts imap kerberos-auth ldap ldaps manual mime mqtt netrc ntlm \
	    pop3 progress-meter rtsp smb smtp socketpair telnet tftp tls-srp verbose \
	    websockets) && $(MAKE) -C lib libcurl.la; } >../log 2>&1 || { tail ../log; exit 1; }
	$(Q)cp $(<D)/tree/include/curl/*.h $(STATIC)/include/curl/
	$(Q)cp $(<D)/tree/lib/.libs/libcurl.a $@

$(STATIC)/parts/sqlite3.a: $(STATIC)/source/sqlite3/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/include
	$(Q)cd $(<D)/tree && { $(FRESH) && ./configure --quiet --disable-tcl --disable-readline && \
	  $(MAKE) sqlite3.c && $(STATIC_CC) $(STATIC_FLAGS) -DSQLITE_THREADSAFE=1 -DSQLITE_DQS=0 \
	    -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_SHARED_CACHE \
	    -DSQLITE_DEFAULT_MEMSTATUS=0 -DHAVE_USLEEP=1 -c sqlite3.c; } >../log 2>&1 || { tail ../log; exit 1; }
	$(Q)cp $(<D)/tree/sqlite3.h $(STATIC)/include/
	$(Q)rm -f $@ && $(STATIC_AR) rcsD $@ $(<D)/tree/sqlite3.o

$(STATIC)/parts/cjson.a: $(STATIC)/source/cjson/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/include/cjson
	$(Q)$(STATIC_CC) $(STATIC_FLAGS) -c -o $(<D)/cJSON.o $(<D)/tree/cJSON.c
	$(Q)cp $(<D)/tree/cJSON.h $(STATIC)/include/cjson/
	$(Q)rm -f $@ && $(STATIC_AR) rcsD $@ $(<D)/cJSON.o

$(STATIC)/parts/zlib.a: $(STATIC)/source/zlib/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/include
	$(Q)cd $(<D)/tree && $(STATIC_CC) $(STATIC_FLAGS) -D_LARGEFILE64_SOURCE=1 -DHAVE_UNISTD_H -c -o ../crc32.o crc32.c
	$(Q)cp $(<D)/tree/zlib.h $(<D)/tree/zconf.h $(STATIC)/include/
	$(Q)rm -f $@ && $(STATIC_AR) rcsD $@ $(<D)/crc32.o

# HMAC and Base64, which need none of its arithmetic.
$(STATIC)/parts/nettle.a: $(STATIC)/source/nettle/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/include/nettle
	$(Q)cd $(<D)/tree && { $(FRESH) && ./configure --quiet --host=$(MUSL) CC=$(STATIC_CC) CFLAGS='$(STATIC_FLAGS)' \
	  --disable-shared --disable-assembler --disable-public-key --disable-documentation --disable-openssl && \
	  $(MAKE) libnettle.a; } >../log 2>&1 || { tail ../log; exit 1; }
	$(Q)cp $(<D)/tree/*.h $(STATIC)/include/nettle/
	$(Q)cp $(<D)/tree/libnettle.a $@

# libpq, without TLS, and the two archives that it stands on.
$(STATIC)/parts/postgresql-15.a: $(STATIC)/source/postgresql-15/unpacked
	$(Q)mkdir -p $(@D) $(STATIC)/include
	$(Q)cd $(<D)/tree && { ./configure --quiet --host=$(MUSL) CC=$(STATIC_CC) AR=$(STATIC_AR) CFLAGS='$(STATIC_FLAGS)' \
	  --without-readline --without-zlib && $(MAKE) -C src/backend generated-headers && \
	  $(MAKE) -C src/interfaces/libpq all-static-lib && \
	  $(MAKE) -C src/common libpgcommon.a; } >../log 2>&1 || { tail ../log; exit 1; }
	$(Q)cp $(<D)/tree/src/interfaces/libpq/libpq-fe.h $(<D)/tree/src/include/postgres_ext.h \
	  $(<D)/tree/src/include/pg_config_ext.h $(STATIC)/include/
	$(Q)rm -f $@ && printf '%s\n' 'create $@' $(patsubst %,'addlib $(<D)/tree/src/%.a',interfaces/libpq/libpq \
	  common/libpgcommon port/libpgport) save end | $(STATIC_AR) -M

# ---- what is inside

LICENCE_jobd          := MIT
LICENCE_libmicrohttpd := LGPL-2.1-or-later
LICENCE_curl          := curl
LICENCE_mbedtls       := Apache-2.0 or GPL-2+
LICENCE_sqlite3       := public domain
LICENCE_cjson         := MIT
LICENCE_zlib          := Zlib
LICENCE_nettle        := LGPL-3+ or GPL-2+
LICENCE_postgresql-15 := PostgreSQL
MUSL_VERSION := $(if $(CROSS),cat $(STATIC)/source/musl/unpacked,dpkg-query -W -f '$${Version}' musl-dev)
MUSL_LICENCE := $(if $(CROSS),$(STATIC)/source/musl/tree/debian/copyright,/usr/share/doc/musl-dev/copyright)

$(STATIC)/LICENSES: LICENSE src/dist/static.mk $(STATIC_PARTS:%=$(STATIC)/source/%/unpacked) $(MUSL_READY)
	$(Q){ echo "Inside the static jobd, versions as of Debian:"; echo; \
	  printf '%-14s %-26s %s\n' jobd '$(VERSION)' '$(LICENCE_jobd)' \
	    $(foreach p,$(STATIC_PARTS),$p "$$(cat $(STATIC)/source/$p/unpacked)" '$(LICENCE_$p)') \
	    musl "$$($(MUSL_VERSION))" MIT \
	    libbsd "$$(dpkg-query -W -f '$${Version}' libbsd-dev)" 'BSD-2-Clause, BSD-3-Clause (two headers)'; \
	  licence() { printf '\n======== %s\n\n' "$$1"; cat "$$2"; }; \
	  licence jobd LICENSE; \
	  $(foreach p,$(STATIC_PARTS),licence $p $(STATIC)/source/$p/tree/debian/copyright;) \
	  licence 'GNU Lesser General Public License' $(STATIC)/source/libmicrohttpd/tree/COPYING; \
	  licence 'GNU Lesser General Public License 3' $(STATIC)/source/nettle/tree/COPYING.LESSERv3; \
	  licence 'GNU General Public License 3' $(STATIC)/source/nettle/tree/COPYINGv3; \
	  licence musl $(MUSL_LICENCE); \
	  licence libbsd /usr/share/doc/libbsd-dev/copyright; } >$@

# ---- tests

check-static: static  ## the static file is static, small, and works alone in an empty root; FOR=arm64
	$(Q)$(if $(CROSS),$(call needs,$(EMULATOR)))
	$(Q)EMULATOR=$(if $(CROSS),$$(command -v $(EMULATOR))) sh tests/check/static.sh $(STATIC)/jobd $(STATIC_MAX_BYTES)

check-container:  ## the image is built, with buildah, and works (Debian, as root); FOR=arm64
	$(Q)$(call needs,buildah)
	$(Q)$(call needs,podman)
	$(Q)$(call needs,runc)
	$(Q)$(call needs,debootstrap)
	$(Q)sh tests/check/container.sh $(FOR)

# All tests with musl, and the static file as what they start; but for those of other programs than it, of TLS, of what is
# preloaded, and one that needs more of zlib than is in it.
STATIC_OUT   := tests/api/test_page.c tests/http/test_tls.c $(wildcard tests/dist/test_*.c tests/examples/test_*.c tests/page/test_*.c)
STATIC_TESTS := $(if $(T),$(call tests_named,$T),$(filter-out $(STATIC_OUT) $(if $(filter test-static,$(MAKECMDGOALS)),$\
                  $(shell grep -l support/failing tests/*/test_*.c)),$(ALL_TESTS)))
STATIC_PROGRAMS := $(STATIC_TESTS:%.c=$(STATIC)/%)
LEAST_cmocka := 1.1.5
CMOCKA_HAS   := STDLIB_H STRING_H STDINT_H INTTYPES_H TIME_H SIGNAL_H SETJMP_H MALLOC_H STRSIGNAL SNPRINTF VSNPRINTF \
                CLOCK_GETTIME CLOCK_REALTIME STRUCT_TIMESPEC GCC_THREAD_LOCAL_STORAGE

$(STATIC)/tests/cmocka.o: $(STATIC)/source/cmocka/unpacked
	$(Q)mkdir -p $(@D)
	$(Q)cp $(<D)/tree/include/*.h $(STATIC)/include/
	$(Q)$(STATIC_CC) $(STATIC_FLAGS) -I$(<D)/tree/include $(CMOCKA_HAS:%=-DHAVE_%=1) -c -o $@ $(<D)/tree/src/cmocka.c

$(STATIC)/tests/%.o: tests/%.c Makefile src/dist/static.mk $(STATIC)/tests/cmocka.o $(STATIC)/include/bsd
	$(Q)mkdir -p $(@D)
	$(Q)$(STATIC_CC) $(BASE) -Itests -DJOBD_BINARY='"$(STATIC)/jobd"' -DEXAMPLE_BINARY='"$(B)/tests/example"' \
	  -DNEWER_BINARY='"$(B)/tests/newer"' -Wall -isystem $(STATIC)/include \
	  -DCURL_STATICLIB $(STATIC_FLAGS) -c -o $@ $<

$(STATIC_PROGRAMS): %: %.o $(STATIC_OBJECTS) $(HELPERS:$(B)/%=$(STATIC)/%)
	$(Q)$(STATIC_CC) -static -Wl,--gc-sections -o $@ $< $(filter-out $(STATIC)/src/main.o,$(STATIC_OBJECTS)) \
	  $(HELPERS:$(B)/%=$(STATIC)/%) $(STATIC_PARTS:%=$(STATIC)/parts/%.a) $(STATIC)/tests/cmocka.o

test-static: static $(B)/tests/example $(B)/tests/newer $(STATIC_PROGRAMS)  ## the tests with musl, of it; T=raw for one
	$(Q)sh tests/run.sh $(STATIC_PROGRAMS) $(if $(T),,--durable \
	  $(filter $(STATIC_PROGRAMS),$(DURABLE_TESTS:$(B)/%=$(STATIC)/%)))

-include $(STATIC_OBJECTS:.o=.d) $(wildcard $(STATIC)/tests/*/*.d $(STATIC)/tests/*/*/*.d)

.PHONY: static deps-static check-static check-container test-static
