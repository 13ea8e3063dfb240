#!/bin/sh
# The image as it is run elsewhere: by Podman and runc, with what the files for Compose, Kubernetes and Quadlet say, and an
# image made of it, with a command of one's own. tests/check/podman.sh FOLDER, from the top of the tree, as root: tools are
# kept in FOLDER; the containers' storage ($CONTAINERS_STORAGE_CONF) has the image and docker.io/library/debian:12.
set -u
. "$(dirname "$0")/say.sh"
tools=$(mkdir -p "$1" && cd "$1" && pwd)
scratch=$(mktemp -d)
. "$(dirname "$0")/quadlet.sh"
export CONTAINERS_CONF="$scratch/containers.conf" BUILDAH_ISOLATION=chroot
# Where crun finds cgroups of a kind that it does not know; and no more open files than here.
printf '[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=4096:4096"]\n[engine]\nruntime = "runc"\n' \
    "$(ulimit -Hn)" "$(ulimit -Hn)" >"$CONTAINERS_CONF"
token=$(od -An -N 24 -t x1 /dev/urandom | tr -d ' \n')

leave() {
    podman rm --all --force --time 0 >/dev/null 2>&1
    podman pod rm --all --force >/dev/null 2>&1
    podman secret rm jobd-tokens >/dev/null 2>&1
    podman volume rm --all --force >/dev/null 2>&1
    podman network rm --force jobd_default >/dev/null 2>&1
    rm -rf "$scratch"
}
trap leave EXIT

# Without a systemd Podman says each time that nobody will ask for a container's health.
quietly() { "$@" >"$scratch/said" 2>&1 || { cat "$scratch/said"; return 1; }; }

# ---- what is looked at, in the container $name

runs() { pid=$(podman inspect --format '{{.State.Pid}}' "$name") && [ "$pid" -gt 0 ]; }
status() { grep -qE "^$1:[[:space:]]+$2" "/proc/$pid/status" || { grep "^$1:" "/proc/$pid/status"; false; }; }
is_user() { status Uid '65532[[:space:]]+65532' && status Gid 65532; }
is_first() { status NSpid '.*[[:space:]]1$'; }
is_bound() { status CapEff '0+$' && status CapBnd '0+$' && status NoNewPrivs 1; }
is_read_only() { awk '$2 == "/" { print $4 }' "/proc/$pid/mounts" | grep -q '^ro\>'; }
at() { address=$(podman port "$name" 8080) && [ "${address%:*}" = 127.0.0.1 ]; }
ask() { # a status that is to come, and curl's words
    wanted=$1
    shift
    got=$(curl -s -o "$scratch/body" -w '%{http_code}' --retry 20 --retry-connrefused --retry-delay 1 "$@")
    [ "$got" = "$wanted" ] || { echo "$got"; cat "$scratch/body"; false; }
}
is_ready() { ask 200 "http://$address/readyz"; }
wants_a_token() { ask 401 -d x "http://$address/do"; }
puts() { ask 202 -H "Authorization: Bearer $token" -d x "http://$address/do?delay=1h"; }
keeps() {
    url="http://$address/jobs?state=scheduled"
    [ "$(curl -s -H "Authorization: Bearer $token" "$url" | grep -o '"id"' | wc -l)" = "$1" ]
}
is_healthy() { podman healthcheck run "$name"; }
stops() { # within its time, and by itself
    quietly podman stop "$name" && [ "$(podman inspect --format '{{.State.ExitCode}}' "$name")" = 0 ]
}

looked_at() { # what it is
    check "$1: runs" runs
    check "$1: as another user than root" is_user
    check "$1: as process 1" is_first
    check "$1: without rights" is_bound
    check "$1: on a root that is read-only" is_read_only
}

# ---- Quadlet: the command that its unit has, but for what only systemd can give it

as_quadlet() {
    quadlet 's/127.0.0.1:8080:8080/127.0.0.1::8080/' 2>"$scratch/said" || { cat "$scratch/said"; return 1; }
    line=$(sed -n 's/^ExecStart=//p' "$scratch/unit" |
        sed "s,%t,$scratch,g; s/%N/jobd/g; s/--sdnotify=[a-z]* //; s/--cgroups=[a-z]* //; s/ --rm / /")
    printf 'admin %s\n' "$token" | podman secret create jobd-tokens - >/dev/null && quietly eval "$line"
}

check 'quadlet' quadlet_of_debian
name=jobd
check 'as Quadlet has it' as_quadlet
looked_at Quadlet
check 'Quadlet: its port is on loopback' at
check 'Quadlet: is ready' is_ready
check 'Quadlet: is healthy' is_healthy
check 'Quadlet: wants a token' wants_a_token
check 'Quadlet: puts a job' puts
check 'Quadlet: stops' stops
check 'Quadlet: starts again' quietly podman start "$name"
check 'Quadlet: its port' at
check 'Quadlet: is ready' is_ready
check 'Quadlet: has kept the job' keeps 1
podman rm --force "$name" >/dev/null

# ---- Compose, by podman-compose

with_compose() {
    [ -d "$tools/compose" ] || pip install -q --target "$tools/compose" podman-compose==1.6.0
}
compose() { (cd "$scratch/compose" && PYTHONPATH=$tools/compose python3 -m podman_compose -f compose.yaml "$@"); }
as_compose() {
    mkdir -p "$scratch/compose" &&
        sed 's/127.0.0.1:8080:8080/127.0.0.1::8080/; /build:/d' src/dist/compose.yaml >"$scratch/compose/compose.yaml" &&
        printf 'admin %s\n' "$token" >"$scratch/compose/tokens" && chgrp 65532 "$scratch/compose/tokens" &&
        chmod 640 "$scratch/compose/tokens" && quietly compose up --detach
}
named() { name=$(podman ps --format '{{.Names}}' | grep "$1") && [ -n "$name" ]; }

check 'podman-compose' with_compose
check 'as Compose has it' as_compose
check 'Compose: its name' named jobd
looked_at Compose
check 'Compose: its port is on loopback' at
check 'Compose: is ready' is_ready
check 'Compose: wants a token' wants_a_token
check 'Compose: puts a job' puts
check 'Compose: stops' stops
check 'Compose: starts again' quietly compose start
check 'Compose: its port' at
check 'Compose: is ready' is_ready
check 'Compose: has kept the job' keeps 1
compose down >/dev/null 2>&1

# ---- Kubernetes: its pod, by podman kube play. That knows no StatefulSet, and no claim of one; it has nobody who asks its
# probes, makes ports of containers those of the machine, and hands out a secret in Base64.

as_kubernetes() {
    mkdir -p "$scratch/tokens" && printf 'admin %s\n' "$token" >"$scratch/tokens/tokens" || return
    {
        printf '%s\n' 'apiVersion: v1' 'kind: PersistentVolumeClaim' 'metadata: {name: data}' \
            'spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}' ---
        sed -e 's/^kind: StatefulSet/kind: Deployment/; /serviceName:/d; /^  volumeClaimTemplates:/,$d' \
            -e '/^          ports:/,+1d; /Probe:/,/\(periodSeconds\|timeoutSeconds\|failureThreshold\):/d; /failureThreshold/d' \
            -e "s,secret: {secretName:.*,hostPath: {path: $scratch/tokens}," src/dist/kubernetes.yaml
        printf '        - name: data\n          persistentVolumeClaim: {claimName: data}\n'
    } >"$scratch/kubernetes.yaml"
    (cd "$scratch" && quietly podman kube play kubernetes.yaml)
}
by_network() { # the pod's, as no other machine is to reach it
    infra=$(podman ps --filter name=infra --format '{{.ID}}') &&
        address=$(podman inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$infra"):8080 &&
        [ "$address" != :8080 ]
}

check 'as Kubernetes has it' as_kubernetes
check 'Kubernetes: its name' named jobd-pod-.*-jobd
looked_at Kubernetes
check 'Kubernetes: its address' by_network
check 'Kubernetes: is ready' is_ready
check 'Kubernetes: wants a token' wants_a_token
check 'Kubernetes: puts a job' puts
check 'Kubernetes: stops' stops
podman pod rm --all --force >/dev/null

# ---- an image made of it

installs_python() {
    buildah run "$base" sh -c \
        'apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-minimal'
}
makes() { # the recipe, with a Debian that has Python in place of its image
    mkdir -p "$scratch/recipe" && cat >"$scratch/recipe/work" <<'.' || return
#!/usr/bin/env python3
import sys
print(sys.stdin.read().upper(), end="")
.
    base=$(buildah from --pull-never docker.io/library/debian:12) && quietly installs_python &&
        quietly buildah commit -q "$base" docker.io/library/python:3-slim &&
        quietly buildah build --pull-never --format docker -t queue -f "$PWD/src/dist/Containerfile.command" \
            "$scratch/recipe"
}
makes_less() { # FROM jobd, and a command that needs no other file
    mkdir -p "$scratch/less" && cat >"$scratch/less/work.c" <<'.' || return
#include <ctype.h>
#include <stdio.h>
int main(void)
{
    for (int c; (c = getchar()) != EOF;)
        putchar(toupper(c));
    return 0;
}
.
    printf '%s\n' 'FROM jobd' 'COPY work /work' 'CMD ["--", "/work"]' >"$scratch/less/Containerfile" &&
        gcc -static -O2 -o "$scratch/less/work" "$scratch/less/work.c" &&
        quietly buildah build --pull-never --format docker -t less "$scratch/less"
}
start() { # an image
    quietly podman run --name "$name" --detach --read-only --volume queue:/data --publish 127.0.0.1::8080 "$1" && at
}
does() {
    [ "$(curl -s --retry 20 --retry-connrefused --retry-delay 1 -H 'Prefer: wait=10' -d letter "http://$address/do")" = LETTER ]
}

name=queue
check 'an image with a command of its own' makes
check 'starts' start queue
check 'is that user' eval 'runs && is_user'
check 'is healthy' is_healthy
check 'runs the command' does
check 'stops' stops
podman rm --force "$name" >/dev/null
check 'an image FROM jobd' makes_less
check 'starts' start less
check 'runs the command' does
check 'stops' stops
[ $failed = 0 ]
