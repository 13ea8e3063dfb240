#!/usr/bin/env python3
"""Webhooks of GitHub, one at a time: the secret in the file SECRET proves who sent one, and a push to main is deployed.

    SECRET=github.secret DEPLOY=./deploy.sh jobd --config github.json
    Payload URL: https://example.org/do/github, content type application/json, the same secret
"""
import hashlib, hmac, json, os, subprocess, sys

payload = sys.stdin.buffer.read()
with open(os.environ["SECRET"], "rb") as file:
    secret = file.read().strip()
signature = "sha256=" + hmac.new(secret, payload, hashlib.sha256).hexdigest()
if not hmac.compare_digest(signature, os.environ.get("JOBD_HEADER_X_HUB_SIGNATURE_256", "")):
    sys.exit("the signature is wrong")

event = os.environ.get("JOBD_HEADER_X_GITHUB_EVENT")
if event == "push" and json.loads(payload)["ref"] == "refs/heads/main":
    subprocess.run([os.environ["DEPLOY"]], check=True)
else:
    print("nothing to do for", event)
