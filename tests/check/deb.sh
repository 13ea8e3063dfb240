#!/bin/sh
# Debian's packages: lintian finds no error and no warning; libjobd0 and libjobd-dev can be used; and in a Debian that a real
# systemd has booted, without a network, jobd is installed, upgraded, removed and purged.
# tests/check/deb.sh FOLDER, which `make deb` made, as root. CC, CXX.
set -u
. "$(dirname "$0")/say.sh"
debs=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

lints() { lintian --allow-root --fail-on error,warning "$debs"/*.changes; }

# One of them is nobody else's.
uses_flags() {
    grep -- ' -c -o .*main\.o' "$debs/build.log" | grep -q -- ' -Werror=format-security' &&
        mkdir "$scratch/jobd" && dpkg-deb -x "$debs"/jobd_*.deb "$scratch/jobd" &&
        sh tests/check/binary.sh "$scratch/jobd/usr/bin/jobd"
}

library() {
    mkdir "$scratch/library" && dpkg-deb -x "$debs"/libjobd0_*.deb "$scratch/library" &&
        dpkg-deb -x "$debs"/libjobd-dev_*.deb "$scratch/library" &&
        sh tests/check/install.sh "$scratch/library" "$scratch/out"
}

# ---- under systemd

# A later version with the same files, and what is needed that is not in a small Debian.
prepare() {
    dpkg-deb -R "$debs"/jobd_*.deb "$scratch/later" &&
        sed -i 's/^Version: .*/&+later/' "$scratch/later/DEBIAN/control" &&
        needed=$(dpkg-deb -f "$debs"/jobd_*.deb Depends | sed 's/ *([^)]*)//g; s/ *|[^,]*//g; s/ //g') &&
        debootstrap --variant=minbase --include="systemd,systemd-sysv,dbus,curl,$needed" bookworm \
            "$scratch/root" >"$scratch/log" 2>&1 || { tail "$scratch/log"; return 1; }
    mkdir "$scratch/root/check" &&
        cp "$debs"/jobd_*.deb "$scratch/root/check/first.deb" &&
        dpkg-deb --root-owner-group -b "$scratch/later" "$scratch/root/check/later.deb" >/dev/null &&
        cp tests/check/deb_inside.sh tests/check/say.sh "$scratch/root/check" &&
        cat >"$scratch/root/etc/systemd/system/check.service" <<END
[Unit]
SuccessAction=exit
FailureAction=exit
[Service]
Type=exec
ExecStart=sh /check/deb_inside.sh
StandardOutput=file:/check/log
StandardError=inherit
[Install]
WantedBy=multi-user.target
END
    systemctl --root "$scratch/root" enable check.service 2>/dev/null
}

# Its exit status is that of check.service.
boot() {
    systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe -D "$scratch/root" --boot \
        </dev/null >"$scratch/log" 2>&1
    code=$?
    [ -s "$scratch/root/check/log" ] || tail "$scratch/log"
    cat "$scratch/root/check/log"
    return $code
}

check 'lintian' lints
check "Debian's flags" uses_flags
check 'libjobd0 and libjobd-dev' library
check 'a Debian' prepare || exit 1
check 'under systemd' boot
[ $failed = 0 ]
