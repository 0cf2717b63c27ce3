# Answers: what does Podman need where there is neither systemd nor a registry? Sourced inside of a tree after inside.sh.
# shellcheck shell=bash

stand_ins() {
    : >/etc/resolv.conf
    cat >/etc/containers/containers.conf <<CONF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
CONF
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
    /src/engines/rootfs /tmp/rootfs
    podman import -q /tmp/rootfs.tar docker.io/library/busybox:latest >/dev/null
}
