# Completions of jobd(1) for bash, written by make completions.
_jobd() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
    case ${COMP_WORDS[1]} in
        work | top) [ "$COMP_CWORD" -gt 1 ] && command=${COMP_WORDS[1]} ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        [ "${COMP_WORDS[i]}" = -- ] && { COMPREPLY=($(compgen -c -f -- "$cur")); return; }
    done
    case $command:$prev in
        :--listen | :-l) return ;;
        :--socket-mode) return ;;
        :--token-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        :--tls-cert) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        :--tls-key) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        :--cors-origin) return ;;
        :--trusted-proxy) return ;;
        :--capacity | :-q) return ;;
        :--workers | :-w) return ;;
        :--sleep) return ;;
        :--post) return ;;
        :--attempts) return ;;
        :--timeout) return ;;
        :--backoff) return ;;
        :--data | :-d) return ;;
        :--node) return ;;
        :--sync) COMPREPLY=($(compgen -W 'commit 1s off' -- "$cur")); return ;;
        :--memory) return ;;
        :--max-body) return ;;
        :--keep) return ;;
        :--keep-for) return ;;
        :--output-limit) return ;;
        :--max-connections) return ;;
        :--max-per-address) return ;;
        :--leases) return ;;
        :--schedules) return ;;
        :--max-streams) return ;;
        :--header-timeout) return ;;
        :--idle-timeout) return ;;
        :--grace) return ;;
        :--kill-after) return ;;
        :--callback-allow) return ;;
        :--callback-secret) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        :--page) COMPREPLY=($(compgen -W 'on off' -- "$cur")); return ;;
        :--access-log) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        :--log-format) COMPREPLY=($(compgen -W 'text json' -- "$cur")); return ;;
        :--log-level) COMPREPLY=($(compgen -W 'error warn info debug' -- "$cur")); return ;;
        :--config | :-c) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        work:--url | work:-u) return ;;
        work:--token-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        work:--ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        work:--queue | work:-q) return ;;
        work:--workers | work:-n) return ;;
        work:--worker) return ;;
        work:--lease) return ;;
        work:--kill-after) return ;;
        work:--output-limit) return ;;
        work:--log-format) COMPREPLY=($(compgen -W 'text json' -- "$cur")); return ;;
        work:--log-level) COMPREPLY=($(compgen -W 'error warn info debug' -- "$cur")); return ;;
        top:--url | top:-u) return ;;
        top:--token-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        top:--ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        top:--every) return ;;
    esac
    case $command in
        '') i='work top -l --listen --socket-mode --open --token-file --tls-cert --tls-key --cors-origin --trusted-proxy -q --capacity -w --workers --sleep --post --attempts --timeout --backoff -d --data --node --sync --memory --max-body --keep --keep-for --output-limit --max-connections --max-per-address --leases --schedules --max-streams --header-timeout --idle-timeout --grace --kill-after --callback-allow --callback-secret --page --access-log --log-format --log-level -c --config --check --health -V --version -h --help --' ;;
        'work') i=' -u --url --token-file --ca -q --queue -n --workers --worker --lease --kill-after --output-limit --log-format --log-level -h --help --' ;;
        'top') i=' -u --url --token-file --ca --every -h --help --' ;;
    esac
    COMPREPLY=($(compgen -W "$i" -- "$cur"))
}
complete -F _jobd jobd
