# Answers: how does each of three hosts (engines/hosts.sh) make pods of its own range? By a containerd and a CNI list of its own.
# Sourced inside of a tree, after hosts.sh.
# shellcheck shell=bash
image=docker.io/library/busybox:latest

images() {
    /src/engines/rootfs /tmp/rootfs
    /src/engines/image /tmp/rootfs.tar "$image" /tmp/image.tar
}

# A host that makes pods of its own range, with everything that is its own apart from the others'.
node() {
    local n=$1
    ip netns exec "host$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    mkdir -p "/etc/cni/host$n" "/run/host$n" /tmp/pods
    network_list "$n" >"/etc/cni/host$n/10-pods.conflist"
    cat >"/run/host$n/containerd.toml" <<CONF
version = 2
root = "/var/lib/containerd/host$n"
state = "/run/host$n/containerd"
[grpc]
  address = "/run/host$n/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$image"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/host$n"
CONF
    # Not `ip netns exec`, which hides the cgroups below /sys.
    nsenter --net="/run/netns/host$n" containerd -c "/run/host$n/containerd.toml" >"/tmp/containerd$n.log" 2>&1 &
    until_ok 20 ctr -a "/run/host$n/containerd.sock" version &&
        ctr -a "/run/host$n/containerd.sock" -n k8s.io image import /tmp/image.tar
}

# The list of docs/kubernetes.md, with the ranges of host N, and a folder of its own for what host-local remembers.
network_list() {
    awk '/engines\/nodes.sh takes it from here/ { found = 1; next } found && /^[^ ]/ { exit } found { print }' /src/docs/kubernetes.md |
        sed "s#198.18.0.0/22#198.18.$(($1 * 4 - 4)).0/22#; s/2001:db8:1:/2001:db8:$1:/" |
        jq --arg dir "/var/lib/cni/host$1" '.plugins[0].ipam.dataDir = $dir'
}

on() { ip netns exec "host$1" "${@:2}"; }

# A pod's command: it says on port 80 which it is and who asks.
serve="mkdir -p /tmp/cgi-bin; cd /tmp/cgi-bin
    printf '#!/bin/sh\necho; echo \"I am %s, you are \$REMOTE_ADDR.\"\n' \$NAME >me; chmod +x me; httpd -f -h /tmp"
# Addresses of IPv6 stand in brackets.
url() { case $1 in *:*) echo "http://[$1]:${2:-80}/cgi-bin/me" ;; *) echo "http://$1:${2:-80}/cgi-bin/me" ;; esac }
from_netns() { ip netns exec "$1" curl -s -m 3 "$(url "$2" "${3:-80}")"; }
from_host() { from_netns "host$1" "${@:2}"; }
# ADDRESS as REMOTE_ADDR has it: the server's socket is one of IPv6.
seen() { case $1 in *:*) echo "[$1]" ;; *) echo "[::ffff:$1]" ;; esac }
