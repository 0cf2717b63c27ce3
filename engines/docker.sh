# Answers: how is Docker run without systemd, and killed and started again at will? Sourced inside of a tree after inside.sh.
# shellcheck shell=bash
image=ipvl/busybox

# start_docker [OPTION...]: dockerd, until it answers.
start_docker() {
    dockerd --exec-root /run/docker --storage-driver overlay2 "$@" >>/tmp/dockerd.log 2>&1 &
    dockerd=$!
    until_ok 60 docker version
}

stop_docker() {
    kill "$dockerd"
    wait "$dockerd"
}

# kill_docker: as if the machine's memory were short. Its containerd is its child, and another dockerd wants its own.
kill_docker() {
    kill -9 "$dockerd" "$(cat /run/docker/containerd/containerd.pid)"
    wait "$dockerd"
}

# start_plugin [OPTION...]: ipvl's driver, until it listens.
start_plugin() {
    /usr/local/libexec/ipvl/ipvl-docker "$@" >>/tmp/ipvl-docker.log 2>&1 &
    plugin=$!
    until_ok 5 test -S /run/docker/plugins/ipvl.sock
}

kill_plugin() {
    kill -9 "$plugin"
    wait "$plugin" 2>/dev/null
}

# Both, and an image to run.
set_up_docker() {
    echo 'nameserver 192.0.2.254' >/etc/resolv.conf
    start_plugin "$@"
    start_docker
    /src/engines/rootfs /tmp/rootfs
    docker import /tmp/rootfs.tar "$image" >/dev/null
}

# logs: what both said, for a test that failed.
logs() { tail -n 30 /tmp/dockerd.log /tmp/ipvl-docker.log; }
