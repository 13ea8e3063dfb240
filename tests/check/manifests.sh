#!/bin/sh
# Are the files for orchestrators what those understand? Each is read by a tool that knows its schema: Kubernetes' by
# kubectl-validate, Compose's by compose-go, both from Go's module proxy; the Quadlet unit by Podman's own generator,
# of Debian 13, and what that writes by systemd. And does jobd know all variables that they set?
# tests/check/manifests.sh JOBD FOLDER: the tools are kept in FOLDER.
set -u
jobd=$1 tools=$(mkdir -p "$2" && cd "$2" && pwd) failed=0
scratch=$(mktemp -d)
. "$(dirname "$0")/quadlet.sh"
trap 'rm -rf "$scratch"' EXIT
VALIDATE=sigs.k8s.io/kubectl-validate@v0.0.4
COMPOSE=github.com/compose-spec/compose-go/v2/cmd@v2.16.2

check() { # what, and a command that must succeed
    what=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then
        echo "[       OK ] $what"
    else
        tail -n 20 "$scratch/out"
        echo "[  FAILED  ] $what"
        failed=$((failed + 1))
    fi
}
finds() { # a word of the complaint, and a command that must fail with it
    word=$1
    shift
    ! "$@" >"$scratch/said" 2>&1 && { grep -q "$word" "$scratch/said" || { cat "$scratch/said"; false; }; }
}

# ---- tools

with_go() { # a program that is built once
    [ -x "$tools/$1" ] || GOBIN=$tools go install "$2"
}

# ---- what is read

compose() { # a file, and what becomes of its text; the tool reads no .env
    mkdir -p "$scratch/compose" && touch "$scratch/compose/tokens" &&
        sed "$2; s/\${PASSWORD:?}/secret/" "src/dist/$1" >"$scratch/compose/$1" && (cd "$scratch/compose" && "$tools/cmd" "$1")
}

kubernetes() { # what becomes of its text
    sed "$1" src/dist/kubernetes.yaml >"$scratch/kubernetes.yaml" && "$tools/kubectl-validate" "$scratch/kubernetes.yaml"
}

# Podman itself need not be there.
unit() {
    sed '1d; s,/usr/bin/podman,/bin/true,' "$scratch/unit" >"$scratch/jobd.service" &&
        systemd-analyze verify --recursive-errors=no "$scratch/jobd.service" && grep -q 'ExecStart=.* --read-only ' "$scratch/unit"
}

variables() {
    names=$(grep -ohE 'JOBD_[A-Z_]+' src/dist/*.yaml src/dist/jobd.container src/dist/Containerfile.command Containerfile |
        sort -u)
    for name in $names; do
        env "$name=" "$jobd" --check 2>&1 | grep "$name" | grep -v JOBD_TOKEN_FILE | grep . && return 1
        "$jobd" --help | grep -qe "--$(echo "${name#JOBD_}" | tr A-Z_ a-z-)" || { echo "$name is no option"; return 1; }
    done
}

check 'kubectl-validate' with_go kubectl-validate "$VALIDATE"
check 'compose-go' with_go cmd "$COMPOSE"
check 'quadlet' quadlet_of_debian
check 'kubernetes.yaml' kubernetes ''
check 'and what is wrong with it is found' finds readOnlyRoot kubernetes s/readOnlyRootFilesystem/readOnlyRoot/
for file in compose.yaml compose-postgres.yaml; do
    check "$file" compose $file ''
    check 'and what is wrong with it is found' finds grace_period compose $file s/stop_grace_period/grace_period/
done
check 'jobd.container' quadlet ''
check 'and its unit' unit
check 'and what is wrong with it is found' finds PublishedPort quadlet s/PublishPort/PublishedPort/
check 'their variables are options' variables
[ $failed = 0 ]
