#!/bin/sh
# Requests made from /openapi.json find no answer that it does not describe, header included, no method, no bad request
# that is let in, no good one that is refused, and no 5xx. What makes a request good besides its schemas
# is in openapi_rules.py.
PATH=$PATH:$PWD/build/schemathesis/bin
command -v schemathesis >/dev/null ||
    { echo "schemathesis is missing: python3 -m venv build/schemathesis, and its pip install schemathesis"; exit 1; }
rules=$PWD/tests/check/openapi_rules.py
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
echo 'admin admin-admin-admin' >"$folder/tokens"
chmod 600 "$folder/tokens"
echo '{"queues": {"default": {"capacity": 1000, "sleep": "1ms"}, "mail": {"capacity": 1000, "workers": 0}}}' \
    >"$folder/jobd.json"
"$1" -l 127.0.0.1:0 -d "$folder/data" -c "$folder/jobd.json" --token-file "$folder/tokens" >"$folder/done" 2>"$folder/log" &
server=$!
while ! address=$(grep -om1 '127\.0\.0\.1:[0-9]*' "$folder/log"); do kill -0 "$server" || exit 1; done
cp "$rules" "$folder"
# So long it may wait; and what is too large is refused as such.
cat >"$folder/schemathesis.toml" <<'END'
parameters = { "header.Prefer" = "wait=1" }
checks.negative_data_rejection.expected-statuses = ["4xx", "5xx"]

# 500 is what Prefer: wait gets of a job that ended badly; openapi_rules.py sees that it is no other 500.
[[operations]]
include-path-regex = "^/do"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "500"]

# DELETE cancels: what is cancelled is remembered, and can be looked at.
[[operations]]
include-path-regex = "^/(jobs|batches)/"
checks.use_after_free.enabled = false
END
cd "$folder" && JOBD_URL=http://$address SCHEMATHESIS_HOOKS=openapi_rules PYTHONPATH=$folder \
    schemathesis run "http://$address/openapi.json" \
    -H 'Authorization: Bearer admin-admin-admin' --max-examples "${EXAMPLES:-20}" --no-color \
    --continue-on-failure --exclude-checks positive_data_acceptance
