#!/bin/sh
# Requests made from /openapi.json find no answer that it does not describe, and no 5xx. Which
# requests are good is not asked: there are rules between parameters, as that one of two is needed,
# that a schema does not say; nor which methods a path has that is also another one's {id}, as
# /jobs/retry.
PATH=$PATH:$PWD/build/schemathesis/bin
command -v schemathesis >/dev/null ||
    { echo "schemathesis is missing: python3 -m venv build/schemathesis, and its pip install schemathesis"; exit 1; }
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
echo 'admin admin-admin-admin' >"$folder/tokens"
chmod 600 "$folder/tokens"
echo '{"queues": {"default": {"capacity": 1000, "sleep": "1ms"}, "mail": {"capacity": 10, "workers": 0}}}' \
    >"$folder/jobd.json"
"$1" -l 127.0.0.1:0 -c "$folder/jobd.json" --token-file "$folder/tokens" 2>"$folder/log" &
server=$!
while ! address=$(grep -om1 '127\.0\.0\.1:[0-9]*' "$folder/log"); do kill -0 "$server" || exit 1; done
# So long it may wait.
echo 'parameters = { "query.wait" = "10ms", "query.block" = "10ms", "header.Prefer" = "wait=1" }' \
    >"$folder/schemathesis.toml"
cd "$folder" && schemathesis run "http://$address/openapi.json" \
    -H 'Authorization: Bearer admin-admin-admin' --phases coverage,fuzzing --max-examples "${EXAMPLES:-20}" --no-color \
    --exclude-checks positive_data_acceptance,negative_data_rejection,unsupported_method,allow_header_conformance
