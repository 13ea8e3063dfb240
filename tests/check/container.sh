#!/bin/sh
# The image: built from Containerfile with buildah, without a daemon and without a registry, then run.
# tests/check/container.sh [amd64|arm64], from the top of the tree, as root. The base image is Debian's own, made by
# debootstrap. What is for another machine is run by qemu-user.
set -u
. "$(dirname "$0")/say.sh"
for=${1:-$(dpkg --print-architecture)}
scratch=$(mktemp -d) container='' server=''
# A storage of its own; nothing of it stays.
export CONTAINERS_STORAGE_CONF="$scratch/storage.conf" BUILDAH_ISOLATION=chroot
printf '[storage]\ndriver = "vfs"\nrunroot = "%s/run"\ngraphroot = "%s/graph"\n' "$scratch" "$scratch" \
    >"$CONTAINERS_STORAGE_CONF"

leave() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    wait
    [ -z "$container" ] || buildah umount "$container" >/dev/null 2>&1
    buildah rm --all >/dev/null 2>&1
    rm -rf "$scratch"
}
trap leave EXIT

# buildah of Debian 12 knows no FROM --platform and wants a base for that machine: so it is said to be one, though its
# programs are this machine's, as the Containerfile has it.
base() {
    debootstrap --variant=minbase bookworm "$scratch/debian" >"$scratch/log" 2>&1 &&
        base=$(buildah from scratch) &&
        buildah add -q "$base" "$scratch/debian" / >/dev/null &&
        buildah config --arch "$for" "$base" && buildah commit -q "$base" docker.io/library/debian:12 >/dev/null &&
        buildah rm "$base" >/dev/null && rm -rf "$scratch/debian"
}

# Without a machine to itself, or a network, it may take for ever.
build() {
    timeout "$((${MINUTES:-60} * 60))" buildah build --pull-never --format docker --platform "linux/$for" -t jobd . >"$scratch/log" 2>&1 || { tail "$scratch/log"; false; }
}

has() { # a field of the image, and what it must be
    got=$(buildah inspect --type image --format "{{$1}}" jobd)
    [ "$got" = "$2" ] || { echo "$1 is $got"; false; }
}

# ---- run it

start() { # what runs a program of the image; sets server and address
    mkfifo "$scratch/fifo"
    "$@" /jobd -l 127.0.0.1:0 -d /data --sleep 0ms >"$scratch/out" 2>"$scratch/fifo" &
    server=$!
    exec 3<"$scratch/fifo"
    rm "$scratch/fifo" # the next one's is another
    address=$(timeout 20 sed -un -e "w $scratch/err" -e '/listening on /{s/.*listening on //p;q}' <&3)
    cat <&3 >/dev/null & # what it says later needs a reader, or it would block
    exec 3<&-
    [ -n "$address" ] || { cat "$scratch/err"; return 1; }
    jobd=$server
    while below=$(pgrep -P "$jobd"); do jobd=$below; done
}

stop() { # drains: exit status 0
    kill -"$(buildah inspect --type image --format '{{.Docker.Config.StopSignal}}' jobd | cut -c4-)" "$jobd"
    wait "$server"
    code=$?
    server=''
    return $code
}

in_buildah() { buildah run "$container" "$@"; }
# As an orchestrator would: the root read-only, jobd as process 1.
read_only() {
    unshare --mount --pid --fork sh -c 'root=$1 data=$2; shift 2
        mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" && mount --bind "$data" "$root/data" &&
        exec chroot --userspec=65532:65532 "$root" "$@"' sh "$root" "$scratch/data" "$@"
}

is_user() { [ "$(stat -c %u:%g "/proc/$jobd")" = 65532:65532 ]; }
is_first() { grep -q '^NSpid:.*[[:space:]]1$' "/proc/$jobd/status"; }
is_healthy() { in_buildah /jobd -l "$address" --health; }
is_not_healthy() { ! in_buildah /jobd -l unix:/data/none --health 2>/dev/null; }
puts() { [ "$(curl -s -H 'Prefer: wait=10' -o /dev/null -w '%{http_code}' "$address/do")" = 200 ]; }
keeps() { [ "$(curl -s "$address/jobs?state=done" | grep -o '"id"' | wc -l)" = "$1" ]; }
has_zones() { # and no more: in /usr is nothing else
    [ -s "$root/usr/share/zoneinfo/Europe/Paris" ] && [ ! -e "$root/usr/share/zoneinfo/right" ] &&
        [ "$(find "$root/usr" -maxdepth 2 | sort | xargs)" = "$root/usr $root/usr/share $root/usr/share/zoneinfo" ]
}
holds() { [ "$(ls "$root" | xargs)" = "$1" ] || { ls -l "$root"; false; }; }

check 'a base' base || exit 1
check 'builds' build || exit 1
check 'is for that machine' has .OCIv1.Architecture "$for"
check 'runs as another user than root' has .Docker.Config.User 65532:65532
check 'has a volume' has .Docker.Config.Volumes 'map[/data:{}]'
check 'has a health check' has .Docker.Config.Healthcheck.Test '[CMD /jobd --health]'
check 'stops by a signal' has .Docker.Config.StopSignal SIGTERM
check 'is jobd' has .Docker.Config.Entrypoint '[/jobd]'

container=$(buildah from --pull-never --platform "linux/$for" jobd) && root=$(buildah mount "$container") || exit 1
install -d -o 65532 -g 65532 "$scratch/data"
check 'holds nothing else' holds 'LICENSES data jobd usr'
check 'has time zones' has_zones
if [ "$for" != "$(dpkg --print-architecture)" ]; then
    EMULATOR=$(command -v qemu-aarch64-static) sh tests/check/static.sh "$root/jobd" 3145728 || failed=1
    exit $failed
fi
check 'is not healthy before it starts' is_not_healthy
check 'starts' start in_buildah
check 'is that user' is_user
check 'is healthy' is_healthy
check 'puts a job' puts
check 'drains' stop
check 'starts on a root that is read-only' start read_only
check 'is process 1' is_first
check 'is that user' is_user
check 'puts a job' puts
check 'drains' stop
check 'starts again' start read_only
check 'has kept the job on its volume' keeps 1
check 'drains' stop
sh tests/check/podman.sh build/tools || failed=1
[ $failed = 0 ]
