#!/bin/sh
# Requests made from /openapi.json find no answer that it does not describe, no method, no bad request
# that is let in, and no 5xx. One check is left out: that each request which its schemas allow is good.
# There are rules that they do not say: that one of two parameters is needed, or that a queue is there.
# A Range that is none may be ignored (RFC 9110, section 14.2), and one tag is taken for a list of one.
PATH=$PATH:$PWD/build/schemathesis/bin
command -v schemathesis >/dev/null ||
    { echo "schemathesis is missing: python3 -m venv build/schemathesis, and its pip install schemathesis"; exit 1; }
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
echo 'admin admin-admin-admin' >"$folder/tokens"
chmod 600 "$folder/tokens"
echo '{"queues": {"default": {"capacity": 1000, "sleep": "1ms"}, "mail": {"capacity": 10, "workers": 0}}}' \
    >"$folder/jobd.json"
"$1" -l 127.0.0.1:0 -d "$folder/data" -c "$folder/jobd.json" --token-file "$folder/tokens" 2>"$folder/log" &
server=$!
while ! address=$(grep -om1 '127\.0\.0\.1:[0-9]*' "$folder/log"); do kill -0 "$server" || exit 1; done
# So long it may wait.
cat >"$folder/schemathesis.toml" <<'END'
parameters = { "query.wait" = "10ms", "query.block" = "10ms", "header.Prefer" = "wait=1" }
checks.negative_data_rejection.expected-statuses = ["4xx", "5xx"]

[[operations]]
include-path-regex = "^/(jobs/[^/]*/output|do.*|schedules/[^/]*)$"
checks.negative_data_rejection.enabled = false
END
cd "$folder" && schemathesis run "http://$address/openapi.json" \
    -H 'Authorization: Bearer admin-admin-admin' --phases coverage,fuzzing --max-examples "${EXAMPLES:-20}" --no-color \
    --exclude-checks positive_data_acceptance
