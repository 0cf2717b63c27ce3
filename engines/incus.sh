# Answers: how is Incus run without systemd, with an image that is made here? Sourced inside of a tree after inside.sh.
# shellcheck shell=bash
export INCUS_DIR=/var/lib/docker/incus PATH=$PATH:/usr/libexec/incus

# Without systemd: what Debian's units would start.
set_up_incus() {
    mkdir -p $INCUS_DIR /run/incus /run/lock /etc/ipvl
    start_incus && incus storage create default dir && incus profile device add default root disk path=/ pool=default && incus_image
}

start_incus() {
    incusd --group root --logfile /tmp/incusd.log >/tmp/incusd.out 2>&1 &
    echo $! >/tmp/incusd.pid
    incus admin waitready --timeout $((60 * ${SLOW:-1}))
}

# One of 2 MB, by the alias `small`.
incus_image() {
    /src/engines/rootfs /tmp/image/rootfs
    printf '::sysinit:/bin/true\n::respawn:/bin/httpd -f -h /www\n' >/tmp/image/rootfs/etc/inittab
    printf 'architecture: x86_64\ncreation_date: 1700000000\nproperties: {description: small, os: busybox}\n' \
        >/tmp/image/metadata.yaml
    tar -C /tmp/image -czf /tmp/image.tgz metadata.yaml rootfs
    incus image import /tmp/image.tgz --alias small
}
