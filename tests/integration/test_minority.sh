# Goal: the demonstration tells the truth, for 3 and for 5 members: it checks itself at every step.
. "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
for members in 3 5; do
    "$root/scripts/demo-minority.sh" --members $members || fail "the demonstration with $members members"
done
