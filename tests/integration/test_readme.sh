# Goal: what README.md tells a new user to type works as it stands there: the five minutes, line by line, and the
# C program, compiled. Only the port, the directories and the time a person takes between two lines are put in.
. "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
port=$(port_base 1)

# block FROM TO: the indented lines between two lines that match.
block() { sed -n "/$1/,/$2/s/^    //p" "$root/README.md"; }

{
    echo "set -em; trap 'kill \$(jobs -p) 2>/dev/null || true' EXIT"
    echo "export PATH=$BUILD:\$PATH COORDCTL_SERVERS=127.0.0.1:$port"
    block '^## Five minutes' '^From C' | grep -vE '^make |^export PATH' |
        sed "s|^coordd --dev &|coordd --dev --port $port --data-dir $WORK/data \\&\nuntil coordctl --timeout 1s sync 2>/dev/null; do sleep 0.05; done|" |
        sed '/^coordctl watch/a until coordctl -o json status | grep -q watches.:.1,; do sleep 0.05; done'
} >"$WORK/typed"
expect_equal "$(grep -c '^coord' "$WORK/typed")" 10 "the lines that were found in README.md"
expect_exit 0 timeout -k 2 60 bash "$WORK/typed"
expect_match "$OUT" "^host=10.0.0.7$" "what get printed"
expect_match "$OUT" "changed /app/db host=10.0.0.8" "what the watch printed"
expect_match "$OUT" "backing up with token [0-9]+" "the lock"
expect_match "$OUT" "serving with token [0-9]+" "the election"
expect_match "$OUT" "^1 +leader" "status"
expect_match "$OUT" "^increment /from: 90$" "the transaction"
expect_match "$OUT" "^increment /to: 10$" "the other half of it"
gone() { port_free "$port"; }
wait_until 5 "the member has ended" gone

{
    printf '#include <coord/recipes.h>\nint main(void)\n{\n'
    block '^From C' '^`make install'
    printf 'return 0;\n}\n'
} >"$WORK/program.c"
"${CC:-gcc}" -std=c11 -Wall -Wextra -Werror -I"$root/include" -fsyntax-only "$WORK/program.c" || fail "the C program"

# Every file and folder that the README names is there.
for f in $(grep -oE '\b(docs|conf|scripts|client|include|raft|protocol|server|tests)/[A-Za-z0-9_./*-]*[a-z/]' "$root/README.md" | sort -u); do
    compgen -G "$root/$f" >/dev/null || fail "README.md names $f, which is not there"
done
