#!/usr/bin/env bash
# The house rules that a machine can check (ARCHITECTURE.md says why they are rules). Each violation is a line
# `file:line: what`; exit code 1 if there was any. Reads the files git knows of, and build/release when it is there.
set -uo pipefail
cd "$(dirname "$0")/.."
broken=$(mktemp)
trap 'rm -f "$broken"' EXIT
complain() { # reads violations from standard input, prefixed with what rule they break
    local lines
    lines=$(cat)
    [ -z "$lines" ] && return
    printf '%s\n' "$lines" | sed "s|\$|   <- $1|" | tee -a "$broken"
}
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -e "$f" ] && echo "$f"; done; }
hits() { # PATTERN FILES...: file:line of code lines that match, comments left out
    local pattern=$1
    shift
    [ $# -gt 0 ] || return 0
    grep -nHE "$pattern" "$@" 2>/dev/null | grep -vE '^[^:]+:[0-9]+: *(/?\*|//)'
}
sources=$(files '*.c' '*.h')

# 1. Arrows point one way.
hits '#include "(server|client|protocol)/' $(files 'raft/*.c' 'raft/*.h' 'include/*.h') | complain "raft and public headers include nothing of ours"
hits '#include "(server|client)/' $(files 'protocol/*.c' 'protocol/*.h') | complain "protocol includes neither end"
hits '#include "server/' $(files 'client/*.c' 'client/*.h') | complain "the client includes nothing of the server"
hits '#include "client/' $(files 'server/*.c' 'server/*.h') | complain "the server includes nothing of the client"
hits '#include [<"](raft/)?storage/|#include <coord/raft_storage.h>' $(files 'raft/*.c' 'raft/*.h' | grep -vE '^raft/(storage|example|tools|bench)/') | complain "the core does not know its storage"
hits '#include <event2/' $(echo "$sources" | grep -vE '/shell/|^tests/bench/') | complain "only a shell uses libevent"

# 2. What decides calls no clock, socket, file, thread or random source.
pure=$(files 'raft/*.c' 'raft/*.h' 'server/store/*' 'server/session/*' 'server/machine/*' 'server/watch/*' 'server/node/*' 'protocol/*.c' 'protocol/*.h' 'client/core/*' | grep -E '\.[ch]$' | grep -vE '^raft/(storage|example|tools|bench)/')
hits '#include <(sys/(socket|stat|time|mman|epoll)\.h|time\.h|unistd\.h|fcntl\.h|pthread\.h|netinet/|arpa/)' $pure | complain "pure code does no I/O and reads no clock"
core=$(files 'raft/*.c' 'raft/*.h' | grep -vE '^raft/(storage|example|tools|bench)/')
hits '#include <(stdio|stdlib|errno|inttypes)\.h' $core | complain "the core uses string.h and stdint.h only"

# 3. Calls we do without.
hits '\b(sprintf|vsprintf|strcpy|strcat|strncpy|strncat|gets|atoi|atol|rand|srand|strtok|alloca|signal) *\(' $sources | complain "banned call"
hits '\b(FIXME|XXX|HACK|TODO)\b' $sources | complain "unfinished"

git grep -nE '^(<<<<<<<|>>>>>>>) ' -- . ':!scripts/tidy.sh' | complain "a merge was not settled"

# 4. Every file says what it is; no file and no function outgrows its reader.
for f in $sources; do
    head -n 1 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f:1: no SPDX line"
done | complain "head of file"
echo "$sources" | xargs -r wc -l | awk '$2 != "total" && $1 > 1000 {print $2 ":" $1 ": too long"}' | complain "at most 1,000 lines a file"
echo "$sources" | grep '\.c$' | xargs -r awk '
    FNR == 1 { start = 0 }
    /^{/ { start = FNR }
    /^}/ { if (start && FNR - start + 1 > 71) print FILENAME ":" start ": function of " FNR - start + 1 " lines"; start = 0 }' |
    complain "at most 70 lines a function"
files '*.c' '*.h' '*.sh' '*.yaml' '*.md' | xargs -r -n1 dirname | sort -u | grep -vE '^(\.|\.ci|include|include/coord|tests/fuzz/corpus.*|tests/sim/seeds)$' | while read -r d; do
    [ -e "$d/README.md" ] || echo "$d: no README.md"
done | complain "every folder says what it is for"

# 5. Public headers compile alone, as C99 and as C++.
for h in $(files 'include/coord/*.h'); do
    for lang in "gcc -std=c99 -x c" "clang -std=c++14 -x c++"; do
        command -v "${lang%% *}" >/dev/null || continue
        $lang -Wall -Wextra -Wpedantic -Iinclude -fsyntax-only "$h" 2>&1 | grep -E 'error|warning' | grep -v 'pragma once'
    done
done | complain "public headers compile alone"

# 6. Layout.
if command -v clang-format >/dev/null; then
    # shellcheck disable=SC2086
    clang-format --dry-run $sources 2>&1 | grep -E '^[^ ].*(warning|error):' | cut -d: -f1 | sort | uniq -c |
        awk '{print $2 ": " $1 " places: run make format"}' | complain "layout"
fi

# 7. The core's objects reach nothing but memcpy and its like.
if [ -e build/release/libcoord-raft.a ]; then
    objs=$(for f in $(files 'raft/*.c' | grep -vE '^raft/.*/'); do echo "build/release/${f%.c}.o"; done)
    # shellcheck disable=SC2086
    nm -A -u $objs 2>/dev/null | awk '{print $1 " " $NF}' |
        grep -vE ' (raft_[a-z_0-9]+|mem(cpy|set|move|cmp)|strlen|__popcountdi2|__(memcpy|memset|memmove)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$' |
        complain "the core calls nothing of the system"
fi

# 8. The tests that these pages name are there: `test_x`, `test_x.case`, and `.case` of the one before it.
for page in docs/testing.md docs/consistency.md; do
    grep -n '^|' $page | grep -oE '^[0-9]+|`(test_[a-z_0-9]+)?(\.[a-z_0-9]+)?`' | tr -d '`' | while read -r name; do
        case "$name" in
        [0-9]*) line=$name && continue ;;
        .*) case=${name#.} ;;
        *) program=${name%%.*} case= && [ "$name" = "$program" ] || case=${name#*.} ;;
        esac
        if [ -n "$case" ]; then
            grep -qs "^START_TEST($case)" "tests/unit/$program.c"
        else
            [ -e "tests/unit/$program.c" ] || [ -e "tests/integration/$program.sh" ]
        fi || echo "$page:$line: no test $program${case:+.$case}"
    done
done | complain "the tests that are named exist"

[ -s "$broken" ] && exit 1
echo "tidy: all rules hold"
