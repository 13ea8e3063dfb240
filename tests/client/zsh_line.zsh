# SPDX-License-Identifier: MIT
# What becomes of a line in zsh when TAB is pressed behind it: zsh -f tests/client/zsh_line.zsh 'jobd wo'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'fpath=($PWD/src/dist/completions $fpath); autoload -Uz compinit; compinit -u -D;
    say() { print -r -- "<$BUFFER>" }; zle -N say; bindkey "^X" say'
zpty -w -n shell "$1"$'\t\x18'
zpty -r shell said '*<jobd*>*'
print -r -- ${${said##*<}%%>*}
zpty -d shell
