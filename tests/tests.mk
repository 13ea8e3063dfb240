# Tests that are not part of `make test`; part of the Makefile above, which has the flags and the rules
# for objects and tests.

# What is missing is named, not installed.
needs = command -v $(1) >/dev/null || { echo "$(1) is missing: make deps-check, or install $(1)"; exit 1; }

# ---- against faults and crashes

build/default/tests/failing.so: tests/support/failing.c tests/support/failing.h
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(BASE)) -Itests $(WARNINGS) -O2 -fPIC -shared -o $@ $< -ldl

faults: $(B)/jobd build/default/tests/failing.so $(B)/tests/server/test_faults  ## every allocation fails in turn, and many at random; SECONDS, STOP_MS
	$(Q)FAULT_TURNS=0 FAULT_MS=$(or $(SECONDS),30)000 sh tests/run.sh $(B)/tests/server/test_faults

crash: $(B)/jobd $(B)/tests/store/test_crash $(B)/tests/store/test_crash_schedules  ## kill and cut a durable server hundreds of times; KILLS, CUTS, SCHEDULE_KILLS
	$(Q)KILLS=$(or $(KILLS),300) CUTS=$(or $(CUTS),20) SCHEDULE_KILLS=$(or $(SCHEDULE_KILLS),60) \
	  sh tests/run.sh $(B)/tests/store/test_crash $(B)/tests/store/test_crash_schedules

crash-cluster: $(B)/jobd $(B)/tests/ledger/test_crash_cluster  ## kill three servers and their PostgreSQL again and again; KILLS
	$(Q)KILLS=$(or $(KILLS),100) sh tests/run.sh $(B)/tests/ledger/test_crash_cluster

failover: $(B)/jobd  ## three servers, a load, one killed, a standby promoted: counts agree to the last job; SECONDS
	$(Q)SECONDS=$(or $(SECONDS),30) python3 tests/long/failover.py $(B)/jobd

share-random: $(B)/tests/ledger/test_share_random  ## three engines with the same queues, driven at random, must know the same; TURNS, SEED
	$(Q)TURNS=$(or $(TURNS),100000000) sh tests/run.sh $(B)/tests/ledger/test_share_random

crash-controls:  ## faults that the tests of durability must find
	$(Q)sh tests/long/controls.sh

crash-cluster-controls:  ## the same for those of several servers with one PostgreSQL
	$(Q)sh tests/long/controls.sh cluster

# ---- what tools make of it

check-openapi: $(B)/jobd  ## schemathesis finds no answer that /openapi.json does not describe; EXAMPLES
	$(Q)sh tests/check/openapi.sh $(B)/jobd

check-client: $(B)/jobd  ## a client made from /openapi.json puts a job, takes and ends it
	$(Q)sh tests/check/client.sh $(B)/jobd

check-manifests: $(B)/jobd  ## Compose, Kubernetes and Quadlet files, each by a tool that knows its schema
	$(Q)$(call needs,go)
	$(Q)sh tests/check/manifests.sh $(B)/jobd build/tools

check-journeys:  ## what the README shows, copied and pasted in a fresh Debian, and how long it takes (as root); SUITE, J
	$(Q)$(call needs,debootstrap)
	$(Q)python3 tests/check/journeys.py $(or $(SUITE),bookworm) $(J)

check-proxies: $(B)/jobd  ## jobd behind nginx, HAProxy and Caddy, as jobd(7) has it
	$(Q)$(call needs,nginx)
	$(Q)$(call needs,haproxy)
	$(Q)$(call needs,caddy)
	$(Q)python3 tests/check/proxies.py $(B)/jobd

# ---- under load

soak:  ## mixed traffic for MINUTES=10, under both sanitizers, SAN=thread alone or PLAIN=1 without; SEED
	$(Q)for san in $(if $(PLAIN),default,$(or $(SAN),address thread)); do \
	  $(MAKE) --no-print-directory SAN=$${san#default} build/$$san/jobd && \
	  MINUTES=$(or $(MINUTES),10) SEED=$(SEED) DATA=$$([ $$san = thread ] || echo 1) \
	    python3 tests/long/soak.py build/$$san/jobd || exit 1; \
	done

# Plain, so that memory can be judged; SAN=address or SAN=thread otherwise.
soak-cluster: $(B)/jobd  ## the same against three servers with one PostgreSQL, for MINUTES=10; SEED
	$(Q)MINUTES=$(or $(MINUTES),10) SEED=$(SEED) python3 tests/long/soak_cluster.py $(B)/jobd

slow: $(B)/jobd  ## 500 slow clients against a limit of 300, wrk beside 400
	$(Q)$(call needs,slowhttptest)
	$(Q)$(call needs,wrk)
	$(Q)python3 tests/long/slow.py $(B)/jobd

# ---- coverage and fuzzing

# A branch inside verify() is one that nothing may ever take.
coverage:  ## run all tests, say which share of lines and branches in src/ they reach
	$(Q)$(call needs,gcovr)
	$(Q)rm -rf build/coverage && $(MAKE) --no-print-directory test SAN=coverage
	$(Q)gcovr -r . -f src/ --exclude-branches-by-pattern '.*verify\(.*' --sort-uncovered \
	  --txt build/coverage/report.txt --print-summary build/coverage | grep -E '^(lines|branches)'

FUZZERS := http engine settings options auth text cron url zone entry
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/%.o,$(filter-out src/main.c tests/fuzz/fuzz_main.c,\
                  $(SRC) $(wildcard tests/fuzz/fuzz_*.c tests/engine/model/*.c)))
FUZZ_CC := clang $(BASE) -Itests $(INCLUDES) -O1 -g -fno-sanitize-recover=all

# Only what is tested guides the fuzzers.
build/fuzz/%.o: %.c Makefile tests/tests.mk
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(if $(filter src/%,$<),-fsanitize=fuzzer-no-link) -fsanitize=address,undefined -c -o $@ $<

build/fuzz/run-%: tests/fuzz/fuzz_main.c $(FUZZ_OBJECTS)
	$(Q)mkdir -p build/fuzz/found/$* build/fuzz/corpus/$*
	$(Q)$(FUZZ_CC) -DFUZZED=fuzz_$* -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

fuzzers: $(FUZZERS:%=build/fuzz/run-%)

fuzz: fuzzers  ## run each fuzzer for SECONDS=60, or with ONLY=http one of them
	$(Q)sh tests/fuzz/fuzz.sh $(or $(SECONDS),60) $(or $(ONLY),$(FUZZERS))

-include $(FUZZ_OBJECTS:.o=.d)

.PHONY: check-openapi check-client check-manifests check-journeys check-proxies faults crash crash-cluster failover share-random crash-controls crash-cluster-controls soak soak-cluster slow coverage fuzz fuzzers
