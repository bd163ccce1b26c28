#!/usr/bin/env bash
# The second command of the README: install what is missing, build with both compilers without a warning,
# and run every test, plain and under the address and undefined-behaviour sanitizers.
#
#   scripts/test.sh            everything, under 20 minutes on 2 cores
#   scripts/test.sh --quick    the plain unit tests, 200 simulated seeds, the integration tests
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

quick=0
case "$*" in
'') ;;
--quick) quick=1 ;;
-h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' scripts/test.sh && exit 0 ;;
*) die "unknown argument '$*' (try --help)" ;;
esac

# shellcheck disable=SC2086
packages_install $PACKAGES_BUILD $PACKAGES_TEST

jobs=$(nproc)
started=$(date +%s)
step() {
    printf '\n=== %s (%s s)\n' "$1" $(($(date +%s) - started))
}

step "build with gcc, warnings are errors"
make -s -j"$jobs" DEV=1 CC=gcc all sim-build script-build mc-build unit-build
step "house rules"
make -s tidy
step "unit tests"
make -s DEV=1 CC=gcc unit
step "simulator"
make -s DEV=1 CC=gcc sim SEED=1 N="$([ $quick = 1 ] && echo 200 || echo 2000)"
step "whole-node simulation"
make -s DEV=1 CC=gcc sim-service SEED=1 N="$([ $quick = 1 ] && echo 40 || echo 300)"
step "scenario scripts, then every fourth power cut in them"
make -s DEV=1 CC=gcc scripts
make -s DEV=1 CC=gcc script-sweep STRIDE="$([ $quick = 1 ] && echo 20 || echo 4)"
step "known bugs put back"
make -s -j"$jobs" DEV=1 CC=gcc test-mutants
step "model checker"
make -s DEV=1 CC=gcc mc
step "kept fuzzing inputs"
make -s -j"$jobs" DEV=1 CC=gcc fuzz-replay
step "integration tests"
make -s DEV=1 CC=gcc integration

if [ $quick = 0 ]; then
    step "build with clang, warnings are errors"
    make -s -j"$jobs" DEV=1 CC=clang VARIANT=debug all sim-build script-build
    step "build with the sanitizers"
    make -s -j"$jobs" DEV=1 CC=gcc VARIANT=asan all sim-build script-build unit-build
    step "unit tests under the sanitizers"
    make -s DEV=1 CC=gcc VARIANT=asan unit
    step "scenario scripts under the sanitizers"
    make -s DEV=1 CC=gcc VARIANT=asan scripts
    make -s DEV=1 CC=gcc VARIANT=asan script-sweep STRIDE=100
    step "simulator under the sanitizers"
    make -s DEV=1 CC=gcc VARIANT=asan sim SEED=100001 N=200
    step "whole-node simulation under the sanitizers"
    make -s DEV=1 CC=gcc VARIANT=asan sim-service SEED=100001 N=20
    step "kept fuzzing inputs under the sanitizers"
    make -s -j"$jobs" DEV=1 CC=gcc VARIANT=asan fuzz-replay
    step "integration tests under the sanitizers"
    make -s DEV=1 CC=gcc VARIANT=asan integration
fi
printf '\nall tests passed in %s s\n' $(($(date +%s) - started))
