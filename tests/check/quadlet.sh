# Read by the scripts beside it: the Quadlet unit, by Podman's own generator of Debian 13. Uses $tools, a folder where it is
# kept, and $scratch.

# apt with lists of its own; the generator needs no other package than libc.
quadlet_of_debian() (
    [ -x "$tools/quadlet/usr/libexec/podman/quadlet" ] && return
    mkdir -p "$tools/apt/lists/partial" "$tools/apt/cache/archives/partial" &&
        echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' \
            >"$tools/apt/sources.list" && cd "$tools/apt" || return
    for step in update 'download podman libc6'; do
        apt-get -qq -o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o APT::Sandbox::User="$(id -un)" $step ||
            return
    done
    for deb in ./*.deb; do dpkg-deb -x "$deb" "$tools/quadlet" || return; done
    rm -rf "$tools/apt"
)

quadlet() { # what becomes of the file's text; writes $scratch/unit
    libraries=$tools/quadlet/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    mkdir -p "$scratch/units" && sed "$1" src/dist/jobd.container >"$scratch/units/jobd.container" &&
        QUADLET_UNIT_DIRS=$scratch/units "$libraries"/ld-linux-*.so.* --library-path "$libraries" \
            "$tools/quadlet/usr/libexec/podman/quadlet" -dryrun >"$scratch/unit"
}
