# Answers: with what does an engine's test check, and on which network? Sourced inside of a tree (`engines/enter`).
# shellcheck shell=bash
passed=0 failed=0

# check "what must hold" COMMAND...: one line a check; of one that fails, what the command said.
check() {
    local what=$1 said status=0
    shift
    said=$("$@" 2>&1) || status=$?
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        echo "        $* (status $status)"
        tail -25 <<<"$said" | sed 's/^/        | /'
    fi
}

# The same for what must not succeed.
check_not() {
    local what=$1
    shift
    check "$what" not "$@"
}

not() { ! "$@"; }

# says TEXT COMMAND...: succeeds if the command's output has the text, whatever its status.
says() {
    local text=$1 said
    shift
    said=$("$@" 2>&1) || :
    echo "$said"
    grep -qF -- "$text" <<<"$said"
}

# until_ok SECONDS COMMAND...: again until it succeeds. On an emulated machine, which is SLOW times as slow, so much longer.
until_ok() {
    local end=$((SECONDS + $1 * ${SLOW:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { "$@"; return; }
        sleep 0.05
    done
}

# within LEAST MOST COMMAND...: succeeds if the command does, and takes as many milliseconds.
within() {
    local least=$1 most=$2 start took
    shift 2
    start=$(date +%s%N)
    "$@" >/dev/null || return
    took=$(( ($(date +%s%N) - start) / 1000000 ))
    echo "$took ms, $least to $most expected"
    [ "$took" -ge "$least" ] && [ "$took" -le "$most" ]
}

# The last line of a test, and its status.
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

# The host's eth0 (192.0.2.1/24, 2001:db8::1/64) and, at the other end of its wire, a machine outside with .254 and
# ::254, which is the way to everywhere and serves a page on port 80.
wire() {
    ip netns add outside
    ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 netns outside
    ip addr add 192.0.2.1/24 dev eth0
    ip addr add 2001:db8::1/64 dev eth0 nodad
    ip link set eth0 up
    ip -n outside link set lo up
    ip -n outside addr add 192.0.2.254/24 dev eth0
    ip -n outside addr add 2001:db8::254/64 dev eth0 nodad
    ip -n outside addr add 203.0.113.1/32 dev lo
    ip -n outside link set eth0 up
    ip route add default via 192.0.2.254
    ip -6 route add default via 2001:db8::254
    mkdir -p /tmp/outside
    echo 'from outside' >/tmp/outside/index.html
    ip netns exec outside busybox httpd -p 80 -h /tmp/outside
}
