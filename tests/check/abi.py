#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What programs that were linked with libjobd.so.0 count on, as lines: its functions with their types, the fields of
the structures in its headers with their places, the numbers of its enumerations.

tests/check/abi.py LIBRARY LIST compares them with a list; with --write it writes that. Needs abidw, of abigail-tools,
and a library with debug information for a machine of 64 bits."""
import difflib
import subprocess
import sys
import xml.etree.ElementTree


def read(library):
    command = ["abidw", "--headers-dir", "include", library]
    return xml.etree.ElementTree.fromstring(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


class Names:
    """Types as C writes them, more or less."""

    def __init__(self, tree):
        self.types = {node.get("id"): node for node in tree.iter() if node.get("id")}

    def of(self, number):
        node = self.types.get(number)
        if node is None or node.get("name") == "void":
            return "void"
        if node.tag == "pointer-type-def":
            return self.of(node.get("type-id")) + " *"
        if node.tag == "qualified-type-def":
            return self.of(node.get("type-id")) + (" const" if node.get("const") else "")
        if node.tag == "array-type-def":
            lengths = "".join(f"[{part.get('length')}]" for part in node.findall("subrange"))
            return self.of(node.get("type-id")) + lengths
        if node.tag == "function-type":
            return f"{self.of(node.find('return').get('type-id'))} ({self.parameters(node)})"
        kind = {"class-decl": "struct ", "union-decl": "union ", "enum-decl": "enum "}.get(node.tag, "")
        return kind + ("(without a name)" if node.get("is-anonymous") else node.get("name"))

    def parameters(self, function):
        return ", ".join(self.of(part.get("type-id")) for part in function.findall("parameter"))


def is_public(node):
    return (node.get("filepath") or "").startswith("include/jobd/") and not node.get("is-declaration-only")


def functions(tree, names):
    exported = {symbol.get("name") for symbol in tree.iter("elf-symbol")}
    for node in tree.iter("function-decl"):
        if node.get("elf-symbol-id") and node.get("name") in exported:
            yield f"{names.of(node.find('return').get('type-id'))} {node.get('name')}({names.parameters(node)})"
    for node in tree.iter("var-decl"):
        if node.get("elf-symbol-id"):
            yield f"{names.of(node.get('type-id'))} {node.get('name')}"


def structures(tree, names):
    for node in (*tree.iter("class-decl"), *tree.iter("union-decl")):
        if not is_public(node) or node.get("is-anonymous"):
            continue
        yield f"{names.of(node.get('id'))}: {int(node.get('size-in-bits') or 0) // 8} bytes"
        for member in node.findall("data-member"):
            field = member.find("var-decl")
            offset = int(member.get("layout-offset-in-bits") or 0)
            yield f"{names.of(node.get('id'))}.{field.get('name')}: {names.of(field.get('type-id'))} at {offset // 8}"


def enumerations(tree):
    for node in tree.iter("enum-decl"):
        if is_public(node):
            for value in node.findall("enumerator"):
                yield f"{value.get('name')} = {value.get('value')}"


def main():
    write = sys.argv[1] == "--write"
    library, place = sys.argv[1 + write :]
    tree = read(library)
    names = Names(tree)
    found = sorted({*functions(tree, names), *structures(tree, names), *enumerations(tree)})
    if write:
        with open(place, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in found)
        return 0
    with open(place, encoding="utf-8") as file:
        listed = file.read().splitlines()
    changes = [line for line in difflib.ndiff(listed, found) if line[0] in "+-"]
    print(*changes, sep="\n", file=sys.stderr)
    if any(line[0] == "-" for line in changes):
        print("programs that use libjobd.so.0 would break; once it is released it would be libjobd.so.1", file=sys.stderr)
    if changes:
        print(f"`make abi` writes {place}", file=sys.stderr)
    return 1 if changes else 0


sys.exit(main())
