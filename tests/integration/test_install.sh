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
# shellcheck disable=SC2046
"$compiler" -std=c11 -D_GNU_SOURCE -o counter counter.c clients.c disk.c $(pkg-config --cflags --libs libcoord-raft) ||
    fail "the counter with libcoord-raft"
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
