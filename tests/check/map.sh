#!/bin/sh
# Is the map true? src/README.md names each source file once or more, no file that is not there, and
# no function that is not there; tests/check/map.sh, from the top of the tree.
map=src/README.md failed=0

wrong() {
    echo "map:" "$@"
    failed=1
}

# What stands in backquotes, a word a line; `name.[ch]` is two files.
words=$(grep -o '`[^`]*`' $map | tr -d '`')
files=$(echo "$words" | grep -E '^[a-z0-9_./]+\.(c|h|\[ch\])$' | sed 's/\(.*\)\.\[ch\]$/\1.c\n\1.h/' | sort -u)

for file in $(git ls-files 'src/*/*.[ch]'); do
    name=${file##*/}
    echo "$files" | grep -qE "(^|/)$name\$" || wrong "$map does not name $file"
done
for file in $files; do
    ls src/"$file" src/*/"$file" include/jobd/"$file" include/"$file" "$file" 2>/dev/null | grep -q . ||
        wrong "$map names $file, which is not there"
done
for function in $(grep -oE '[a-z_]+\(\)' $map | sort -u); do
    grep -qrE --include='*.[ch]' "(^|[^a-z_])${function%()}\(" src include || wrong "$map names $function, which is not there"
done
exit $failed
