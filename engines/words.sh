# Answers: what must hold of slaves that a tool has made by words of its own, or by our plugin? Sourced by engines/words/* after
# inside.sh, where the kernel module is loaded (scripts/kmod-words), and nothing of ipvl has run before but that plugin, and the
# command to look at slaves.
# shellcheck shell=bash

# What the tool's page in docs/ says of the module (SECTION), its commands run by COMMAND.
begin() { # PAGE [COMMAND...]
    local page=$1 section=${SECTION:-With the module}
    shift
    begin_without_page
    check "docs/$page.md does what it says of the module" "$@" /src/engines/page "/src/docs/$page.md" "$section"
    check "and leaves nothing" as_before
}

begin_without_page() {
    ip -n outside route add 198.51.100.0/24 via 192.0.2.1
    check "the module that is loaded is ours" grep . /sys/module/ipvlan/version
    ip -br link >/tmp/before
}

as_before() { until_ok 10 is_as_before || diff /tmp/before <(ip -br link); }
is_as_before() { cmp -s /tmp/before <(ip -br link) && there_are 0; }
there_are() { [ "$(ipvl -j link show | grep -o '"ifname"' | wc -l)" = "$1" ] || { ipvl link show; return 1; }; }

# in_net NET COMMAND...: a program of this machine on the network of a process, or on that of a namespace with a name.
in_net() {
    local net=$1
    shift
    case $net in
    *[!0-9]*) ip netns exec "$net" "$@" ;;
    *) nsenter --target "$net" --net -- "$@" ;;
    esac
}

outside() { until_ok 20 ip netns exec outside "$@"; }
pings() { until_ok 20 in_net "$1" ping -c 1 -W 2 "$2"; }
pings_not() { ! in_net "$1" ping -c 2 -i 0.3 -W 1 "$2"; }

# Stock `ip` and the command say the same.
slave() { in_net "$1" ip -d link show "$2" | grep "ipvlan  *mode $3 $4"; } # NET DEVICE MODE FLAG
listed() { ipvl -d link show "$1" | grep "$2"; } # DEVICE TEXT

# A private slave has asked for a sibling's MAC address. With the kernel's driver the sibling hears that, and so knows it.
unheard() { [ -z "$(in_net "$1" ip neigh show "$2")" ]; } # NET ADDRESS

# Two slaves with .10 and .11 of the mode's network talk to each other and to the outside, which in l3 and l3s has a route.
talk() { # MODE NET NET2
    local prefix
    prefix=$(prefix "$1")
    check "$1: they reach each other" pings "$2" "$prefix.11"
    check "$1: one reaches the outside" pings "$2" 203.0.113.1
    check "$1: the outside reaches the other" outside ping -c 1 -W 2 "$prefix.11"
}
prefix() { [ "$1" = l2 ] && echo 192.0.2 || echo 198.51.100; }

# What the first (.10) hears of the second (.11), which is private: nothing.
apart() { # NET NET2
    check "the private one reaches the outside" pings "$2" 192.0.2.254
    check "and not its sibling" pings_not "$2" 192.0.2.10
    check "which has heard nothing of it" unheard "$1" 192.0.2.11
    check "and does not reach it" pings_not "$1" 192.0.2.11
}

# A machine of systemd-nspawn's with Busybox: its init starts /etc/rc, and serves a page.
machine() {
    local root=/var/lib/machines/$1
    /src/engines/rootfs "$root"
    mkdir -p "$root/usr/lib/systemd" /etc/systemd/nspawn
    # By this name Debian 12's nspawn knows that a machine can have v2 of cgroups.
    : >"$root/usr/lib/systemd/libsystemd-shared-252.so"
    echo ID=busybox >"$root/etc/os-release"
    printf '::sysinit:/etc/rc\n::respawn:/bin/httpd -f -h /www\n' >"$root/etc/inittab"
    printf '#!/bin/sh\n' >"$root/etc/rc"
    chmod +x "$root/etc/rc"
}
