#!/bin/sh
# Inside a Debian that systemd has booted: first.deb and later.deb beside this file are installed, upgraded, removed,
# purged; what a user sees of it is checked.
cd "$(dirname "$0")" || exit 1
. ./say.sh

apt() { apt-get -qq -y --no-install-recommends "$@" >log.apt 2>&1 || { cat log.apt; false; }; }
says() { [ "$(curl -s "http://127.0.0.1:8080$1")" = "$2" ]; }
is() { # active or enabled, and what systemctl must say
    [ "$(systemctl "is-$1" jobd)" = "$2" ]
}
puts() {
    job=$(curl -s -o answer -D - 'http://127.0.0.1:8080/do?delay=1h' -d payload | tr -d '\r' | sed -n 's/^Location: //p')
    [ -n "$job" ]
}
has() { curl -s "http://127.0.0.1:8080$job" | grep -q '"state":"scheduled"'; }
runs() { curl -s -o answer -H 'Prefer: wait=10' -w '%{http_code}' http://127.0.0.1:8080/do | grep -q 200; }
# One that systemd made up for it.
user() {
    id=$(stat -c %u "/proc/$(systemctl show -p MainPID --value jobd)")
    [ "$id" -ge 61184 ] && [ "$id" -le 65519 ]
}
is_version() { [ "$(dpkg-query -W -f '${Version}' jobd | grep -c later)" = "$1" ]; }
counts() { # a variable of /etc/default/jobd
    sed -i 's/^#JOBD_CAPACITY=.*/JOBD_CAPACITY=77/' /etc/default/jobd && systemctl restart jobd &&
        curl -s http://127.0.0.1:8080/queues/default | grep -q '"capacity":77'
}
none() { # of these files is there
    for file in "$@"; do [ ! -e "$file" ] && [ ! -L "$file" ] || { ls -ld "$file"; return 1; }; done
}
socket() { # the port is systemd's, and the first client starts jobd
    systemctl stop jobd && systemctl start jobd.socket && is active inactive && runs && is active active && has &&
        systemctl stop jobd.socket jobd 2>/dev/null && systemctl start jobd
}

check 'installed' apt install ./first.deb
check 'has its manual pages' test -s /usr/share/man/man1/jobd.1.gz
check 'runs' is active active
check 'is enabled' is enabled enabled
check 'has a user of its own' user
check 'runs jobs' runs
check 'takes a job' puts
check 'reads /etc/default/jobd' counts
check 'has the job' has
check 'works by its socket' socket
check 'has the job' has
check 'upgraded' apt install ./later.deb
check 'is the later one' is_version 1
check 'runs' is active active
check 'has the job' has
check 'has kept its settings' grep -q ^JOBD_CAPACITY=77 /etc/default/jobd
check 'the one before, again' apt install --allow-downgrades ./first.deb
check 'has the job' has
check 'removed' apt remove jobd
check 'has ended' is active inactive
check 'is not there' none /usr/bin/jobd /lib/systemd/system/jobd.service
check 'has left the jobs' test -s /var/lib/private/jobd/jobd.db
check 'has left its settings' grep -q ^JOBD_CAPACITY=77 /etc/default/jobd
check 'installed again' apt install ./later.deb
check 'has the job' has
check 'purged' apt purge jobd
check 'has left nothing' none /usr/bin/jobd /lib/systemd/system/jobd.service /etc/default/jobd \
    /etc/systemd/system/multi-user.target.wants/jobd.service /var/lib/jobd /var/lib/private/jobd /var/log/jobd \
    /var/log/private/jobd
[ $failed = 0 ]
