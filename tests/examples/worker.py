# A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
import http.client, os, sys, time, urllib.error, urllib.request

jobd = os.environ.get("JOBD") or sys.exit("JOBD is not set: where is the server, as http://localhost:8080")
fields = {"Authorization": "Bearer " + os.environ["TOKEN"]} if os.environ.get("TOKEN") else {}

def post(path, body=b""):
    """Tries until the server has decided: its answer and the payload; or None, it never will."""
    pause = 1
    while True:
        try:
            request = urllib.request.Request(jobd + path, body, fields, method="POST")
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer, answer.read()
        except urllib.error.HTTPError as error:
            print(f"{path}: {error.code} {error.reason}", file=sys.stderr)
            if error.code in (401, 403):
                sys.exit(1)
            if error.code < 500 and error.code not in (408, 429):
                return None, None
        except (OSError, http.client.HTTPException) as error:
            print(f"{path}: {error}", file=sys.stderr)
        time.sleep(pause)
        pause = min(2 * pause, 30)

while True:
    job, payload = post("/take?wait=30s")
    if job is None:
        time.sleep(5)
    if job is None or job.status != 200:
        continue
    lease = job.headers["Location"]
    try:
        output = payload.upper()
    except Exception as error:
        post(lease + "/fail", str(error).encode())
    else:
        post(lease + "/done", output)
