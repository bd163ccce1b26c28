# Goal: a flipped bit in acknowledged data is not mistaken for a torn write: that member refuses to start and
# says where; the other two go on and lose nothing. Data of another cluster is refused.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
ctl create /d "" >/dev/null
for i in $(seq 1 50); do ctl create "/d/n$i" "payload number $i" >/dev/null; done
member_stop 3
segment=$(ls "$ENSEMBLE"/data-3/wal/*.seg | sed -n 1p)
offset=$(grep -abo 'payload number 25' "$segment" | sed -n 1p | cut -d: -f1)
[ -n "$offset" ] || fail "the payload is not found in $segment"
printf 'Q' | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
cp "$segment" "$WORK/damaged"
expect_exit 1 timeout 20 "$COORDD" -c "$ENSEMBLE/member-3.yaml"
expect_match "$ERR" "$(basename "$segment")" "the damaged file is named"
cmp "$segment" "$WORK/damaged" || fail "the damaged file was changed"
for i in $(seq 1 50); do
    expect_equal "$(ctl_on $((1 + i % 2)) get "/d/n$i")" "payload number $i" "node $i at the others"
done

# Another cluster's directory.
member_stop 2
sed -i 's/^cluster: .*/cluster: somebody-else/' "$ENSEMBLE/member-2.yaml"
expect_exit 1 timeout 20 "$COORDD" -c "$ENSEMBLE/member-2.yaml"
expect_match "$ERR" "cluster|another" "the foreign data is named"
