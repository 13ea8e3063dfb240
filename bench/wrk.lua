-- SPDX-License-Identifier: MIT
-- Writes what one run of wrk saw, a name and a figure a line; times in µs.
function done(summary, latency, requests)
    local errors = summary.errors
    local function say(name, value)
        io.write(string.format("%s %.3f\n", name, value))
    end
    io.write("figures\n")
    say("requests", summary.requests)
    say("duration_us", summary.duration)
    say("connect_errors", errors.connect)
    say("read_errors", errors.read)
    say("write_errors", errors.write)
    say("timeouts", errors.timeout)
    say("not_2xx", errors.status)
    say("p50", latency:percentile(50))
    say("p90", latency:percentile(90))
    say("p99", latency:percentile(99))
    say("p999", latency:percentile(99.9))
    say("max", latency.max)
end
