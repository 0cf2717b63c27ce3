# Answers: how is Docker run without systemd, and killed and started again at will? Sourced inside of a tree after inside.sh.
# shellcheck shell=bash
image=ipvl/busybox

# start_docker [OPTION...]: dockerd, until it answers, or has ended.
start_docker() {
    local with=()
    [ -z "${SLOW-}" ] || { start_containerd && with=(--containerd /run/containerd/containerd.sock); }
    run_as dockerd dockerd --exec-root /run/docker --storage-driver overlay2 "${with[@]}" "$@"
    until_ok 60 has_started_or_ended
    docker version || { tail -n 3 /tmp/dockerd.log; return 1; }
}

has_started_or_ended() { docker version || is_gone "$(cat /tmp/dockerd.pid)"; }

# dockerd gives a containerd that it starts itself 15 seconds, and ends. A busy emulated machine needs ten of these to read the
# program: there it is started before.
start_containerd() {
    mkdir -p /etc/containerd
    printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >/etc/containerd/config.toml
    run_as containerd containerd
    until_ok 60 test -S /run/containerd/containerd.sock
}

# start_plugin [OPTION...]: ipvl's driver, until it listens.
start_plugin() {
    rm -f /run/docker/plugins/ipvl.sock
    run_as ipvl-docker /usr/local/libexec/ipvl/ipvl-docker "$@"
    until_ok 5 test -S /run/docker/plugins/ipvl.sock
}

stop_docker() {
    end dockerd -TERM
    [ -z "${SLOW-}" ] || end containerd -TERM
}

kill_plugin() { end ipvl-docker -KILL; }

# As if the machine's memory were short. Its containerd is its child, and another dockerd wants its own.
kill_docker() {
    end dockerd -KILL
    [ -n "${SLOW-}" ] || cp /run/docker/containerd/containerd.pid /tmp/containerd.pid
    end containerd -KILL
}

# run_as NAME COMMAND...: in the background, known by its name from then on.
run_as() {
    local name=$1
    shift
    "$@" >>"/tmp/$name.log" 2>&1 &
    echo $! >"/tmp/$name.pid"
}

# end NAME SIGNAL: until it is gone.
end() {
    local pid
    pid=$(cat "/tmp/$1.pid")
    kill "$2" "$pid"
    until_ok 60 is_gone "$pid"
}

is_gone() { [ ! -e "/proc/$1/exe" ] || ! readlink "/proc/$1/exe"; }

# Both, and an image to run.
set_up_docker() {
    echo 'nameserver 192.0.2.254' >/etc/resolv.conf
    start_plugin "$@"
    start_docker
    /src/engines/rootfs /tmp/rootfs
    docker import /tmp/rootfs.tar "$image" >/dev/null
}

# What both said, for a test that failed.
logs() { tail -n 30 /tmp/dockerd.log /tmp/ipvl-docker.log; }
