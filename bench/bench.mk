# The benchmark; part of the Makefile above, which has the flags and the rule for objects.
#   QUICK=1 takes minutes in place of hours; ROUNDS, SECONDS and WARMUP override its protocol,
#   ONLY=do,memory runs some parts, OUT=folder writes elsewhere

BENCH_PACKAGES := wrk nginx beanstalkd gnuplot-nox python3 procps libglib2.0-dev libuv1-dev redis-server postgresql
BENCH_TOOLS    := $(addprefix $(B)/bench/,load first_answer floor spawn_loop turns)
QUEUES         := build/queues
CARGO_LEAST    := 1.85

NODE_PEERS := $(patsubst %,$(QUEUES)/%/node_modules/.package-lock.json,bullmq bunqueue)
bench-deps:  ## install what `make bench` needs, peers included
	$(Q)dpkg -s $(BENCH_PACKAGES) $(BUILD_PACKAGES) $(STATIC_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	    $(BENCH_PACKAGES) $(BUILD_PACKAGES) $(STATIC_PACKAGES); }
	$(Q)command -v go >/dev/null || \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends golang-go
	$(Q)if command -v cargo >/dev/null; then cargo fetch -q --locked --manifest-path bench/peers/rust/Cargo.toml; \
	  else echo "no cargo in PATH: the Rust peer needs $(CARGO_LEAST) or later, newer than Debian 12's"; fi
	$(Q)for peer in asynq river; do (cd bench/peers/$$peer && go mod download) || echo "no modules of $$peer"; done
	$(Q)if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(NODE_PEERS); \
	  else echo "no npm in PATH: BullMQ and bunqueue need it, and Node.js"; fi

# What the other queues' programs are made of; their versions are in go.sum and package-lock.json.
$(QUEUES)/%/node_modules/.package-lock.json: bench/peers/%/package-lock.json
	$(Q)mkdir -p $(QUEUES)/$* && cp bench/peers/$*/package.json $< $(QUEUES)/$*/
	$(Q)cd $(QUEUES)/$* && npm ci --ignore-scripts --no-audit --no-fund --silent

bench-queues: $(B)/jobd $(B)/bench/load  ## other queues beside jobd; results/queues.md: ROUNDS, SECONDS, WARMUP, QUICK
	$(Q)mkdir -p $(QUEUES) && rm -f $(QUEUES)/*-peer
	$(Q)for peer in asynq river; do (cd bench/peers/$$peer && go build -trimpath -o ../../../$(QUEUES)/$$peer-peer .) || \
	  echo "$$peer does not build: it is left out"; done
	$(Q)for peer in bullmq bunqueue; do [ ! -e $(QUEUES)/$$peer ] || cp bench/peers/$$peer/main.mjs $(QUEUES)/$$peer/; done
	$(Q)python3 bench/queues.py --build $(B) $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(WARMUP),--warmup $(WARMUP)) $(if $(OUT),--out $(OUT))

bench: $(B)/jobd $(BENCH_TOOLS) bench-peers  ## measure jobd beside its peers; results in bench/results/
	$(Q)python3 bench/run.py --build $(B) $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(WARMUP),--warmup $(WARMUP)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT))

bench-experiment: $(B)/jobd $(B)/bench/load bench-peers  ## /do beside the two little servers, 10 s of warm-up and 20 s measured; results/experiment.md: ROUNDS, QUICK
	$(Q)python3 bench/experiment.py --build $(B) $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(OUT),--out $(OUT))

bench-readme:  ## put three rows of the last results into the README
	$(Q)python3 bench/readme.py

bench-turns: $(B)/bench/turns  ## what it costs the engine that keys take turns: JOBS, ROUNDS
	$(Q)$(B)/bench/turns $(or $(JOBS),1000000) $(or $(ROUNDS),5)

bench-parts: $(B)/jobd $(B)/bench/load  ## what a request costs by part, by sampling; results/parts.md: SECONDS
	$(Q)python3 bench/parts.py $(B) $(or $(OUT),bench/results) $(or $(SECONDS),4)

bench-instructions: $(B)/jobd  ## what a request costs in instructions, by callgrind; results/instructions.md
	$(Q)python3 bench/instructions.py $< $(or $(OUT),bench/results)

bench-lock: $(B)/bench/lock  ## the engine's one lock with 1 to 8 threads, and reckoned for more: ROUNDS
	$(Q)$(B)/bench/lock 300 $(or $(ROUNDS),5)

bench-calls: $(B)/bench/calls  ## a call that does nothing, beside GThreadPool, libuv and OpenMP; results/calls.md: ROUNDS, CALLS
	$(Q)python3 bench/calls.py $< $(or $(OUT),bench/results) $(or $(ROUNDS),5) $(or $(CALLS),200000)

# Needs libglib2.0-dev and libuv1-dev.
CALLS_PEERS := glib-2.0 libuv
$(B)/bench/calls.o: CPPFLAGS += -fopenmp $(shell $(PKG_CONFIG) --cflags-only-I $(CALLS_PEERS) 2>/dev/null | sed 's/-I/-isystem /g')
$(B)/bench/calls: $(B)/bench/calls.o $(B)/libjobd.a
	$(Q)$(CC) $(ALL_CFLAGS) -fopenmp $(LDFLAGS) -o $@ $^ $$($(PKG_CONFIG) --libs $(CALLS_PEERS))

bench-streams: $(B)/jobd  ## what 2,000 who follow take of a server: ROUNDS, SECONDS
	$(Q)python3 bench/streams.py $(B)/jobd $(or $(ROUNDS),5) $(or $(SECONDS),6)

bench-cluster: $(B)/jobd $(B)/bench/load  ## several servers on one PostgreSQL, and how far they go; results/cluster.md: ROUNDS, SECONDS, JOBS
	$(Q)mkdir -p $(QUEUES) && rm -f $(QUEUES)/river-peer
	$(Q)(cd bench/peers/river && go build -trimpath -o ../../../$(QUEUES)/river-peer .) || echo "River does not build: it is left out"
	$(Q)python3 bench/cluster.py $(B) $(or $(OUT),bench/results) $(or $(ROUNDS),5) $(or $(SECONDS),6) $(or $(JOBS),1000000) >$(B)/bench/cluster.txt
	$(Q)cat $(B)/bench/cluster.txt
	$(Q)tail -n 1 $(B)/bench/cluster.txt >$(B)/bench/cluster.json && python3 bench/reckon.py $(B)/bench/cluster.json

# A peer that cannot be built is left out; the results say so.
bench-peers:
	$(Q)mkdir -p $(B)/bench && rm -f $(B)/bench/go-peer $(B)/bench/rust-peer $(STATIC)/jobd
	$(Q)command -v go >/dev/null || echo "no go in PATH: the Go peer is left out"
	$(Q)! command -v go >/dev/null || (cd bench/peers/go && go build -trimpath -o ../../../$(B)/bench/go-peer .) \
	  || echo "the Go peer does not build: it is left out"
	$(Q)command -v cargo >/dev/null || echo "no cargo in PATH: the Rust peer is left out"
	$(Q)! command -v cargo >/dev/null || { CARGO_TARGET_DIR=build/rust cargo build -q --release --locked \
	    --manifest-path bench/peers/rust/Cargo.toml && cp build/rust/release/rust-peer $(B)/bench/; } \
	  || echo "the Rust peer does not build: it is left out"
	$(Q)command -v musl-gcc >/dev/null || echo "no musl-gcc in PATH: the static file is left out"
	$(Q)! command -v musl-gcc >/dev/null || $(MAKE) --no-print-directory static \
	  || echo "the static file does not build: it is left out"

$(B)/bench/load: $(addprefix $(B)/bench/,load.o talk.o latency.o pairs.o)
$(B)/bench/first_answer: $(B)/bench/first_answer.o
$(B)/bench/floor: $(B)/bench/peers/floor.o
$(B)/bench/spawn_loop: $(B)/bench/spawn_loop.o
$(B)/bench/turns: $(B)/bench/turns.o $(B)/libjobd.a
$(B)/bench/lock: $(B)/bench/lock.o $(B)/libjobd.a
$(B)/bench/lock: LDFLAGS += -Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_unlock
$(BENCH_TOOLS) $(B)/bench/lock:
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^

-include $(wildcard $(B)/bench/*.d $(B)/bench/peers/*.d)

.PHONY: bench bench-calls bench-cluster bench-experiment bench-instructions bench-lock bench-parts bench-queues bench-streams bench-turns bench-deps bench-readme bench-peers
