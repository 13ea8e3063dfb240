#!/bin/sh
# A client that OpenAPI Generator has made from /openapi.json puts a job, takes it and ends it.
# Needs java, mvn, which fetches the generator from Maven Central, and python3, whose pip fetches what the
# client needs; both once, into build/.
for tool in java mvn python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 1; }
done
version=7.10.0
tools=$PWD/build/openapi-generator
jar=$tools/openapi-generator-cli-$version.jar
mkdir -p "$tools"
[ -e "$jar" ] || mvn -q dependency:copy -DoutputDirectory="$tools" \
    -Dartifact=org.openapitools:openapi-generator-cli:$version || exit 1
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
"$1" -l 127.0.0.1:0 -w 0 2>"$folder/log" &
server=$!
while ! address=$(grep -om1 '127\.0\.0\.1:[0-9]*' "$folder/log"); do kill -0 "$server" || exit 1; done
curl -fsS -o "$folder/openapi.json" "http://$address/openapi.json" || exit 1
java -jar "$jar" generate -g python -i "$folder/openapi.json" -o "$folder/client" --package-name jobd_client \
    >"$folder/generated" 2>&1 || { cat "$folder/generated"; exit 1; }
grep -E ' ERROR |Exception' "$folder/generated" && exit 1
[ -d "$tools/python" ] || python3 -m venv "$tools/python" || exit 1
"$tools/python/bin/pip" install -q -r "$folder/client/requirements.txt" || exit 1
PYTHONPATH=$folder/client "$tools/python/bin/python" - "http://$address" <<'EOF_PYTHON' || exit 1
import sys

import jobd_client

configuration = jobd_client.Configuration(host=sys.argv[1])
jobd = jobd_client.DefaultApi(jobd_client.ApiClient(configuration, "Accept", "application/json"))
put = jobd.do_post(body={"hello": "world"}, tag=["greeting"]).actual_instance
assert put.queue == "default" and put.state == "queued", put
task = jobd.take_post(worker="generated", lease="1m").actual_instance
assert task.id == put.id and task.payload == '{"hello": "world"}' and task.tags == ["greeting"], task
jobd.leases_token_done_post(task.lease.rsplit("/", 1)[1], body="well done")
job = jobd.jobs_id_get(put.id)
assert job.state == "done" and job.worker == "generated" and job.output_bytes > 0, job
try:
    jobd.jobs_id_get(1)
    raise AssertionError("job 1 is not there")
except jobd_client.ApiException as error:
    assert error.status == 404, error
print(f"job {put.id} was put, taken and ended")
EOF_PYTHON
