# Goal: what `make install` leaves is enough to run members and to build programs, with nothing of this tree.
. "$(dirname "$0")/lib.sh"
case "$BUILD" in *asan* | *tsan*) echo "nobody installs a build with sanitizers: tested without"; exit 0 ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
to=$WORK/installed
make -s -C "$root" VARIANT="$(basename "$BUILD")" install PREFIX="$to" >"$WORK/make.out" 2>&1 ||
    fail "make install: $(cat "$WORK/make.out")"

# A staged install has the same files, and the names they will have without the stage.
make -s -C "$root" VARIANT="$(basename "$BUILD")" install DESTDIR="$WORK/stage" PREFIX=/opt/coord >/dev/null 2>&1
expect_equal "$(cd "$WORK/stage/opt/coord" && find . | sort)" "$(cd "$to" && find . | sort)" "the files of a staged install"
expect_exit 0 cat "$WORK/stage/opt/coord/lib/pkgconfig/libcoord.pc"
expect_match "$OUT" "^prefix=/opt/coord$" "where the staged files say they will be"
grep -q '^ExecStart=/opt/coord/bin/coordd ' "$WORK/stage/opt/coord/share/doc/coord/conf/coordd.service" || fail "the unit runs another coordd"
! grep -rlF "$root" "$to/lib/pkgconfig" "$to/include" "$to/share" || fail "an installed file names the source tree"

# Programs of the examples, built as somebody else would: only the installed headers, from outside the tree.
mkdir "$WORK/user"
cp "$root"/client/examples/*.c "$root"/raft/example/*.[ch] "$WORK/user"
export PKG_CONFIG_PATH=$to/lib/pkgconfig
expect_exit 0 pkg-config --exact-version="$("$to/bin/coordd" --version | cut -d' ' -f2)" libcoord
cd "$WORK/user"
sed -i 's|"raft/example/|"|' ./*.c ./*.h
compiler=${CC:-gcc}
# shellcheck disable=SC2046
for program in lock elect watch_config; do
    "$compiler" -std=c11 -D_GNU_SOURCE -Wall -Werror -o $program $program.c \
        $(pkg-config --cflags --libs libcoord) -Wl,-rpath,"$to/lib" || fail "$program with libcoord.so"
done
# shellcheck disable=SC2046
"$compiler" -std=c11 -D_GNU_SOURCE -o lock-static lock.c $(pkg-config --cflags libcoord) "$to/lib/libcoord.a" \
    $(pkg-config --static --libs libcoord | sed 's/-lcoord\b//') || fail "lock with libcoord.a"
# A library exports what its headers declare, and nothing else.
exported() { nm -D --defined-only "$1" | awk '$2 == "T" {print $3}' | sort; }
declared() { # HEADER...: functions at the beginning of a line, comments taken away
    sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' "$@" | grep -oE '^[a-z][a-z0-9_ *]*\b(raft_[a-z_]+)\(' | grep -oE 'raft_[a-z_]+\(' | tr -d '(' | sort
}
expect_equal "$(exported "$to/lib/libcoord-raft.so")" "$(declared "$to/include/coord/raft.h" "$to/include/coord/raft_storage.h")" \
    "the functions of libcoord-raft.so"

# The Raft library: the sketch of its README and the counter, shared and static, in C and in C++.
# shellcheck disable=SC2046
build_raft() { # OUT SHARED_OR_STATIC COMPILER SOURCE...
    local out=$1 how=$2 tool=$3
    shift 3
    if [ "$how" = shared ]; then
        $tool -D_GNU_SOURCE -Wall -Werror -o "$out" "$@" $(pkg-config --cflags --libs libcoord-raft) -Wl,-rpath,"$to/lib"
    else
        $tool -D_GNU_SOURCE -Wall -Werror -o "$out" "$@" $(pkg-config --cflags libcoord-raft) \
            $(pkg-config --static --libs libcoord-raft | sed 's/-lcoord-raft\b/-l:libcoord-raft.a/')
    fi || fail "$out with libcoord-raft, $how"
}
heart=$(sed -n '/^```c$/,/^```$/{/^```/d;p}' "$root/raft/README.md")
[ -n "$heart" ] && [[ $(cat sketch.c) == *"$heart"* ]] || fail "raft/README.md shows other code than raft/example/sketch.c"
cat >headers.cc <<'END'
#include <coord/raft.h>
#include <coord/raft_storage.h>
int main()
{
    raft_options o;
    raft_options_init(&o);
    o.id = 1;
    return raft_size(&o) > 0 && raft_store_strerror(RAFT_STORE_ENOENT) != nullptr ? 0 : 1;
}
END
cxx=$(command -v g++ || command -v clang++)
for how in shared static; do
    build_raft sketch-$how $how "$compiler -std=c11" sketch.c
    build_raft counter-$how $how "$compiler -std=c11" counter.c clients.c disk.c wire.c
    build_raft headers-$how $how "$cxx" headers.cc
    expect_exit 0 ./headers-$how
    expect_exit 0 ./sketch-$how
    expect_equal "$OUT" "$(printf 'member %d: hello\n' 1 2 3)" "what the sketch applies"
done
for program in sketch counter headers; do
    expect_match "$(ldd ./$program-shared)" "$to/lib/libcoord-raft.so.0" "the library that $program runs with"
    ! ldd ./$program-static | grep >/dev/null libcoord || fail "$program-static needs a shared library of coord"
done
expect_match "$(ldd ./lock)" "$to/lib/libcoord.so.0" "the library that lock runs with"

# The installed programs together.
port=$(port_base 1)
in_background "$to/bin/coordd" --dev --port "$port" --data-dir "$WORK/data" 2>"$WORK/coordd.err"
answers() { "$to/bin/coordctl" -s "127.0.0.1:$port" --timeout 1s sync; }
wait_until 10 "the installed member answers" answers
expect_exit 0 ./lock "127.0.0.1:$port" job "$WORK/journal" 3
expect_exit 0 ./lock-static "127.0.0.1:$port" job "$WORK/journal" 2
expect_equal "$(wc -l <"$WORK/journal")" 10 "the journal of five turns"
for f in "$to"/share/doc/coord/conf/*.yaml; do expect_exit 0 "$to/bin/coordd" --check -c "$f"; done
