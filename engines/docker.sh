# Answers: how is Docker run without systemd, and killed and started again at will? Sourced inside of a tree after inside.sh.
# shellcheck shell=bash
image=ipvl/busybox

# start_docker [OPTION...]: dockerd, until it answers.
start_docker() {
    run_as dockerd dockerd --exec-root /run/docker --storage-driver overlay2 "$@"
    until_ok 60 docker version
}

# start_plugin [OPTION...]: ipvl's driver, until it listens.
start_plugin() {
    rm -f /run/docker/plugins/ipvl.sock
    run_as ipvl-docker /usr/local/libexec/ipvl/ipvl-docker "$@"
    until_ok 5 test -S /run/docker/plugins/ipvl.sock
}

stop_docker() { end dockerd -TERM; }

kill_plugin() { end ipvl-docker -KILL; }

# As if the machine's memory were short. Its containerd is its child, and another dockerd wants its own.
kill_docker() {
    end dockerd -KILL
    cp /run/docker/containerd/containerd.pid /tmp/containerd.pid
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
