# A worker: takes jobs, upper-cases each payload.
import os, urllib.request

jobd = os.environ["JOBD"]

def post(path, body=b""):
    return urllib.request.urlopen(urllib.request.Request(jobd + path, body, method="POST"))

while True:
    with post("/take?wait=30s") as job:
        if job.status == 204:
            continue
        lease, payload = job.headers["Location"], job.read()
    try:
        post(lease + "/done", payload.upper())
    except Exception as error:
        post(lease + "/fail", str(error).encode())
