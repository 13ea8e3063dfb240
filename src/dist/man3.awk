# SPDX-License-Identifier: MIT
# From a public header, which reads like a page of the manual, to that page. Any POSIX awk:
#     awk -v date='November 27, 2026' -v others='jobd_call jobd_pool' -f man3.awk include/jobd/call.h
#
# The first comment is the description. After it, a comment belongs to the declarations that follow it up to the next
# comment; `---- title ----` begins a subsection. Indented text is shown as it stands, as are structures.

function escaped(text) {
    gsub(/\\/, "\\e", text)
    return text ~ /^[.']/ ? "\\\\&" text : text
}

function say(text) { body = body text "\n" }

# Not where a paragraph begins anyway.
function say_break() {
    if (body !~ /(^|\n)\.Ss [^\n]*\n$/)
        say(".Pp")
}

# ---- comments

# Without its marks; `- `: an empty line between paragraphs.
function bare(line) {
    sub(/^[ \t]*\/\*+ ?/, "", line)
    sub(/[ \t]*\*+\/[ \t]*$/, "", line)
    sub(/^[ \t]*\* ?/, "", line)
    return line
}

function literal(on) {
    if (on == is_literal)
        return
    say(on ? ".Bd -literal -offset indent" : ".Ed")
    is_literal = on
    after_break = !on
}

# A sentence begins a line.
function say_sentences(line,    parts, count, i) {
    gsub(/[.] /, ".\n", line)
    count = split(line, parts, "\n")
    for (i = 1; i <= count; i++)
        say(escaped(parts[i]))
}

# Flows, with what is indented as it stands.
function say_text(text,    lines, count, i, pause) {
    count = split(text, lines, "\n")
    for (i = 1; i <= count; i++) {
        if (lines[i] == "") {
            pause = 1
            continue
        }
        if (lines[i] ~ /^    / && (is_literal || pause || i == 1)) {
            literal(1)
            if (pause && body !~ /indent\n$/)
                say("")
            sub(/^    /, "", lines[i])
        } else {
            if (is_literal) {
                literal(0)
                if (pause)
                    say(".Pp")
            } else if (pause)
                say(".Pp")
            pause = 0
        }
        if (is_literal)
            say(escaped(lines[i]))
        else
            say_sentences(lines[i])
        pause = 0
    }
    literal(0)
}

function say_comment(text,    title) {
    if (text ~ /^----/) {
        title = text
        sub(/^-+ */, "", title)
        text = index(title, "\n") ? substr(title, index(title, "\n") + 1) : ""
        sub(/\n.*/, "", title)
        sub(/ *-+ *$/, "", title)
        # One that goes on behind its title.
        if (title ~ /: ./) {
            text = substr(title, index(title, ": ") + 2) "\n" text
            sub(/: .*/, "", title)
        }
        close_list()
        say(".Ss " toupper(substr(title, 1, 1)) substr(title, 2))
        sub(/^\n+/, "", text)
        if (text != "")
            say_text(text)
        return
    }
    pending = text
}

# ---- declarations

function open_list() {
    if (!in_list)
        say(".Bl -tag -width Ds")
    in_list = 1
}

function close_list() {
    flush()
    if (in_list)
        say(".El")
    in_list = 0
}

# The comment of the declarations before this.
function flush() {
    if (tags == "" && pending == "")
        return
    if (tags == "") { # of nothing: a text of its own
        if (in_list)
            say(".El")
        in_list = 0
        say_break()
        say_text(pending)
    } else {
        open_list()
        body = body tags
        if (pending != "")
            say_text(pending)
    }
    tags = pending = ""
}

# `const char *name` or `void (*function)(void *)`, quoted.
function quoted(text) {
    gsub(/\\/, "\\e", text)
    gsub(/"/, "\\(dq", text)
    return "\"" text "\""
}

# The arguments, split at the commas that no parenthesis holds.
function arguments(text, list,    i, c, depth, count) {
    count = 1
    list[1] = ""
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        depth += (c == "(") - (c == ")")
        if (c == "," && depth == 0)
            list[++count] = ""
        else if (c != " " || list[count] != "")
            list[count] = list[count] c
    }
    return count
}

function function_of(text,    type, name, count, list, i) {
    gsub(/JOBD_API |JOBD_MUST_READ |static |inline |extern /, "", text)
    gsub(/[ \t\n]+/, " ", text)
    sub(/^ /, "", text)
    sub(/ *;? *$/, "", text)
    if (text !~ /\(/ || text ~ /^typedef/) {
        if (match(text, /jobd_[a-z_]+/))
            names[++names_len] = substr(text, RSTART, RLENGTH)
        synopsis = synopsis ".Vt " quoted(text) "\n"
        tags = tags ".It Vt " quoted(text) "\n"
        return
    }
    match(text, /jobd_[a-z0-9_]+\(/)
    type = substr(text, 1, RSTART - 1)
    name = substr(text, RSTART, RLENGTH - 1)
    text = substr(text, RSTART + RLENGTH)
    sub(/\)$/, "", text)
    sub(/ $/, "", type)
    count = arguments(text, list)
    names[++names_len] = name
    synopsis = synopsis ".Ft " quoted(type) "\n.Fo " name "\n"
    tags = tags ".It Fn " name
    for (i = 1; i <= count; i++) {
        synopsis = synopsis ".Fa " quoted(list[i]) "\n"
        if (list[i] == "void")
            continue
        sub(/\[[^]]*\]$/, "", list[i])
        if (match(list[i], /\(\*[a-z_]+\)/))
            list[i] = substr(list[i], RSTART + 2, RLENGTH - 3)
        else if (match(list[i], /[a-z_0-9]+$/))
            list[i] = substr(list[i], RSTART)
        tags = tags " " list[i]
    }
    synopsis = synopsis ".Fc\n"
    tags = tags "\n"
}

# ---- lines

FNR == 1 { state = "start" }
/SPDX-License-Identifier|^#pragma|^#if|^#endif|^#include|^extern "C"|^#else/ { next }

# A comment of lines of its own.
state != "code" && state != "function" && state != "macro" && (state == "comment" || /^\/\*/) {
    if (state != "comment") {
        comment = ""
        had_top = had_top || state != "start"
    }
    comment = comment bare($0) "\n"
    if ($0 !~ /\*\//) {
        state = "comment"
        next
    }
    sub(/\n+$/, "", comment)
    state = "open"
    if (top == "") {
        top = comment
        next
    }
    flush()
    say_comment(comment)
    next
}

# A macro that is a function, or one with a value.
state != "code" && /^#define/ {
    name = $2
    if (index(name, "("))
        name = substr($0, index($0, $2), index($0, ")") - index($0, $2) + 1)
    if (name ~ /\(/) {
        tags = tags ".It Fn " substr(name, 1, index(name, "(") - 1) " " substr(name, index(name, "(") + 1)
        gsub(/,/, "", tags)
        sub(/\)$/, "\n", tags)
        names[++names_len] = substr(name, 1, index(name, "(") - 1)
    } else if (name !~ /^JOBD_(API|MUST_READ)$/) {
        if (/\/\*/)
            flush()
        line = $0
        sub(/^#define /, "", line)
        sub(/ +/, " = ", line)
        tags = tags ".It Dv " quoted(line) "\n"
        if (line ~ /\/\*/ && line !~ /\*\//)
            in_remark = 1
        if (match(line, /\/\*.*/)) {
            sub(/ *\/\*.*/, "", line)
            remark = bare(substr($0, index($0, "/*")))
            sub(/\.It Dv [^\n]*\n$/, "", tags)
            tags = tags ".It Dv " quoted(line) "\n"
            if (!in_remark)
                tags = tags escaped(remark) "\n"
        }
    }
    if (/\\$/)
        state = "macro"
    next
}
in_remark {
    remark = remark " " bare($0)
    if (/\*\//) {
        tags = tags escaped(remark) "\n"
        in_remark = 0
    }
    next
}
state == "macro" {
    if ($0 !~ /\\$/)
        state = "open"
    next
}

# Structures and enumerations, as they stand.
state != "code" && state != "function" && /^(struct|enum)[ a-z_]*\{/ {
    state = "code"
    code = ""
}
state == "code" {
    code = code escaped($0) "\n"
    if (/^\};|^enum .*\};/) {
        close_structure()
        state = "open"
    }
    next
}
function close_structure(    comment_of_it) {
    comment_of_it = tags == "" ? pending : ""
    if (tags == "")
        pending = ""
    close_list()
    if (comment_of_it != "") {
        say_break()
        say_text(comment_of_it)
    }
    say(".Bd -literal")
    body = body code
    say(".Ed")
}

# A body of a function.
state == "function" {
    if (/^\}/)
        state = "open"
    next
}

# Declarations, of one line or more.
/^(JOBD_API|extern JOBD_API|typedef|static inline)/ || declaration != "" {
    declaration = declaration " " $0
    if (/;[ \t]*(\/\*.*)?$/ || /^\{/) {
        state = /^\{/ ? "function" : "open"
        sub(/ *\{.*/, "", declaration)
        function_of(declaration)
        declaration = ""
    }
    next
}

END {
    close_list()
    heading = FILENAME
    sub(/.*\//, "", heading)
    sub(/\.h$/, "", heading)
    about = top
    gsub(/\n/, " ", about)
    if (match(substr(about, 20), /[.:;]( |$)/))
        about = substr(about, 1, 18 + RSTART)
    about = tolower(substr(about, 1, 1)) substr(about, 2)
    print ".\\\" SPDX-License-Identifier: MIT"
    print ".Dd " date
    print ".Dt JOBD_" toupper(heading) " 3"
    print ".Os"
    print ".Sh NAME"
    print ".Nm jobd_" heading (names_len > 0 ? " ," : "")
    for (i = 1; i <= names_len; i++)
        if (names[i] != "jobd_" heading)
            listed[++listed_len] = names[i]
    for (i = 1; i <= listed_len; i++)
        print ".Nm " listed[i] (i < listed_len ? " ," : "")
    print ".Nd " about
    print ".Sh LIBRARY"
    print "libjobd (\\-ljobd)"
    print ".Sh SYNOPSIS"
    print ".In jobd/" heading ".h"
    printf "%s", synopsis
    print ".Sh DESCRIPTION"
    described = body
    body = ""
    is_literal = 0
    say_text(top)
    printf "%s%s", body, described
    print ".Sh SEE ALSO"
    count = split("jobd " others, see, " ")
    for (i = 1; i <= count; i++)
        if (see[i] != "jobd_" heading)
            shown[++shown_len] = see[i]
    for (i = 1; i <= shown_len; i++)
        print ".Xr " shown[i] " 3" (i < shown_len ? " ," : "")
}
