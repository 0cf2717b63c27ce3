# Answers: how does a real systemd run as the first process of a machine inside of a tree? Sourced by tests (after
# `engines/inside.sh`): `boot`, `inside_it CMD...`, `power_off`. It has the network of the test itself.
# shellcheck shell=bash
system=

# What would reach beyond the tree, into the kernel that all share: settings of the whole machine, its modules and devices.
foreign_units=(systemd-sysctl systemd-modules-load systemd-udev-trigger kmod-static-nodes systemd-remount-fs
    systemd-hwdb-update systemd-random-seed systemd-pcrphase getty@tty1 console-getty)
foreign_mounts=(sys-kernel-debug sys-kernel-tracing sys-kernel-config dev-hugepages dev-mqueue sys-fs-fuse-connections)

boot() {
    local group=/sys/fs/cgroup/systemd
    [ -d "$group" ] || group=/sys/fs/cgroup
    export BOOT_GROUP=$group/boot.$$.$RANDOM BOOT_MASKED="${foreign_units[*]/%/.service} ${foreign_mounts[*]/%/.mount}"
    mkdir "$BOOT_GROUP"
    (
        echo "$BASHPID" >"$BOOT_GROUP/cgroup.procs"
        exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child --propagation private \
            bash -c "$(declare -f as_system); as_system" >/tmp/boot.log 2>&1
    ) &
    unshared=$!
    until_ok 5 started
    system=$(pgrep -P "$unshared")
    until_ok 30 inside_it systemctl is-system-running --wait || true
    inside_it udevadm trigger --action=add --subsystem-match=net
    inside_it udevadm settle --timeout=10
}

started() { pgrep -P "$unshared" && [ -S "/proc/$(pgrep -P "$unshared")/root/run/systemd/private" ]; }

as_system() {
    set -e
    local unit node
    mount -t proc proc /proc
    if [ "${BOOT_GROUP%/*}" = /sys/fs/cgroup ]; then
        # Debian 12's mount does not mount it upon itself.
        umount /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
    else
        mount -t tmpfs tmpfs /sys/fs/cgroup
        mkdir /sys/fs/cgroup/systemd
        mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    fi
    mkdir -p /tmp/dev.$$
    # Not for all to write to, or the kernel refuses to open for writing what is in it and belongs to another.
    mount -t tmpfs -o mode=755 tmpfs /tmp/dev.$$
    for node in null zero full random urandom tty; do
        touch "/tmp/dev.$$/$node"
        mount --bind "/dev/$node" "/tmp/dev.$$/$node"
    done
    mount --rbind "/tmp/dev.$$" /dev
    mkdir /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts -o newinstance,ptmxmode=0666
    ln -s pts/ptmx /dev/ptmx
    ln -s /proc/self/fd /dev/fd
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/system
    for unit in $BOOT_MASKED; do ln -s /dev/null "/run/systemd/system/$unit"; done
    mount --make-rshared /
    exec env -i container=tree PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=false
}

# Runs a command there, as if typed on its console.
inside_it() { nsenter --target "$system" --mount --pid --uts --ipc --cgroup -- "$@"; }

power_off() {
    [ -n "$system" ] || return 0
    kill -KILL "$system"
    wait "$unshared" 2>/dev/null || true
    find "$BOOT_GROUP" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    system=
}

# ipvl's units, as `make install` would put them, enabled.
install_units() {
    local unit to=/usr/local/lib/systemd/system wants=/etc/systemd/system/multi-user.target.wants
    mkdir -p $to $wants /etc/ipvl
    for unit; do
        sed 's#=/usr/sbin/ipvl#=/usr/local/sbin/ipvl#' "/src/deploy/systemd/$unit.service" >"$to/$unit.service"
        ln -sf "$to/$unit.service" $wants/
    done
}
