# Goal: the example programs do what their heads say.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
