#!/bin/sh
# Writes a source archive whose bytes depend on nothing but what is in it, and on SOURCE_DATE_EPOCH: not on who
# makes it, where or when. src/dist/archive.sh NAME FILE, from the top of the tree. It has what the last commit has;
# where there is no git, in an unpacked archive, all that was not made there. The time of all files is
# SOURCE_DATE_EPOCH; without it that of the commit, or of the archive that was unpacked.
set -eu
name=$1 file=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/$name" "$(dirname "$file")"
if [ -e .git ]; then
    git archive HEAD >"$scratch/tar"
    time=$(git log -1 --format=%ct)
else
    tar -cf "$scratch/tar" --exclude=./build --exclude=./jobd --exclude=__pycache__ .
    time=$(stat -c %Y Makefile)
fi
tar -xf "$scratch/tar" -C "$scratch/$name"
tar -cf "$scratch/tar" -C "$scratch" --format=ustar --sort=name --owner=0 --group=0 --numeric-owner \
    --mode=u+rwX,go+rX,go-w --mtime="@${SOURCE_DATE_EPOCH:-$time}" "$name"
gzip -9n <"$scratch/tar" >"$file"
