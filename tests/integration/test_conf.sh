# Goal: coordd refuses what it cannot run with, in one line that says where and why, and changes nothing.
. "$(dirname "$0")/lib.sh"

bad() { # TEXT PATTERN
    printf '%b' "$1" >"$WORK/bad.yaml"
    expect_exit 1 "$COORDD" --check -c "$WORK/bad.yaml"
    expect_match "$ERR" "bad.yaml" "the file is named"
    expect_match "$ERR" "$2" "the place is named"
}
good="id: 1\ndata_dir: $WORK/d\nmembers:\n  - {id: 1, peer: \"127.0.0.1:7411\", client: \"127.0.0.1:7410\"}\n"
printf '%b' "$good" >"$WORK/good.yaml"
expect_exit 0 "$COORDD" --check -c "$WORK/good.yaml"
bad "${good}colour: blue\n" ':5: .*colour'
bad "${good}timing: {heartbeat: 400ms, election: 500ms}\n" ':5: .*heartbeat'
bad "${good}timing: {heartbeat: fast}\n" ':5: .*heartbeat'
bad "${good}id: 1\n" ':5: .*id'
bad "id: 7\ndata_dir: $WORK/d\nmembers:\n  - {id: 1, peer: \"127.0.0.1:7411\", client: \"127.0.0.1:7410\"}\n" 'id'
bad "id: 1\n  broken: [\n" 'bad.yaml:'
for f in "$ROOT"/conf/*.yaml; do
    expect_exit 0 "$COORDD" --check -c "$f"
done
expect_exit 1 "$COORDD" -c "$WORK/none.yaml"
expect_match "$ERR" "none.yaml" "the missing file is named"
expect_exit 2 "$COORDD" -c "$WORK/bad.yaml" extra
expect_match "$ERR" "^coordd: unexpected argument 'extra'" "the argument"
expect_exit 2 "$COORDD" --dev --port 70000
expect_match "$ERR" "^coordd: --port: '70000' is not a number from 1 to 65535" "the port"
expect_exit 2 "$COORDD" --colour

# A used port: one line with the address, exit 1.
start_ensemble 1
sed "s#data_dir: .*#data_dir: $WORK/other#" "$ENSEMBLE/member-1.yaml" >"$WORK/same-port.yaml"
expect_exit 1 timeout 10 "$COORDD" -c "$WORK/same-port.yaml"
expect_match "$ERR" "$(client_address 1)|$((ENSEMBLE_PORT + 1))" "the address in use is named"
# A data directory in use.
sed "s#127.0.0.1:$ENSEMBLE_PORT#127.0.0.1:$((ENSEMBLE_PORT + 5))#;s#127.0.0.1:$((ENSEMBLE_PORT + 1))#127.0.0.1:$((ENSEMBLE_PORT + 6))#" "$ENSEMBLE/member-1.yaml" >"$WORK/same-dir.yaml"
expect_exit 1 timeout 10 "$COORDD" -c "$WORK/same-dir.yaml"
expect_match "$ERR" "data-1|another process" "the directory in use is named"
