# Answers: on which stage do tests with several hosts play? Three hosts behind a router, all with FRR and the configuration
# that is shipped (docs/hosts.md), and a client behind the router. Sourced inside of a tree, after inside.sh.
# shellcheck shell=bash
frr=/usr/lib/frr

# 192.0.2.0/24 and 2001:db8::/64 with hosts 1 to 3 and the router, 254, which has 203.0.113.0/24 behind it.
network() {
    local n
    ip netns add router
    ip -n router link set lo up
    ip -n router link add lan type bridge
    ip -n router link set lan up
    ip -n router addr add 192.0.2.254/24 dev lan
    ip -n router addr add 2001:db8::254/64 dev lan nodad
    ip netns exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    for n in 1 2 3; do
        ip netns add host$n
        ip -n host$n link set lo up
        ip -n host$n link add eth0 type veth peer name host$n netns router
        ip -n router link set host$n master lan up
        ip -n host$n addr add 192.0.2.$n/24 dev eth0
        ip -n host$n addr add 2001:db8::$n/64 dev eth0 nodad
        ip -n host$n link set eth0 up
        ip -n host$n route add default via 192.0.2.254
        ip -n host$n -6 route add default via 2001:db8::254
    done
    ip netns add client
    ip -n client link add eth0 type veth peer name client netns router
    ip -n router link set client up
    ip -n router addr add 203.0.113.1/24 dev client
    ip -n router addr add 2001:db8:ffff::1/64 dev client nodad
    ip -n client addr add 203.0.113.10/24 dev eth0
    ip -n client addr add 2001:db8:ffff::10/64 dev eth0 nodad
    ip -n client link set eth0 up
    ip -n client route add default via 203.0.113.1
    ip -n client -6 route add default via 2001:db8:ffff::1
}

daemons() {
    local n
    start_frr router /src/deploy/frr/router.conf || return
    for n in 1 2 3; do
        sed "s/65001/6500$n/; s/router-id .*/router-id 192.0.2.$n/
            s#198.18.0.0/22#198.18.$((n * 4 - 4)).0/22#; s/2001:db8:1:/2001:db8:$n:/" /src/deploy/frr/host.conf >/tmp/host$n.conf
        start_frr host$n /tmp/host$n.conf || return
    done
}

start_frr() { # NETNS FILE
    local daemon
    install -d -o frr -g frr /run/frr/"$1" /etc/frr/"$1"
    for daemon in mgmtd zebra staticd bfdd bgpd; do
        # shellcheck disable=SC2046
        ip netns exec "$1" $frr/$daemon -d -N "$1" $(zserv $daemon "$1") -A 127.0.0.1 --log file:/tmp/"$1".$daemon.log \
            >/tmp/"$1".$daemon.said 2>&1 || { cat /tmp/"$1".$daemon.said; return 1; }
    done
    cp "$2" /etc/frr/"$1"/frr.conf
    : >/etc/frr/"$1"/vtysh.conf
    says_nothing_wrong vtysh -N "$1" -b -n
}

# All but mgmtd talk to zebra.
zserv() { [ "$1" = mgmtd ] || echo "-z /run/frr/$2/zserv.api"; }

says_nothing_wrong() {
    local said
    said=$("$@" 2>&1)
    echo "$said"
    ! grep -iE 'unknown|error|% ' <<<"$said"
}

# Address NUMBER of a host's prefix.
v4() { echo "198.18.$(($1 * 4 - 4 + $2 / 256)).$(($2 % 256))"; }
v6() { printf '2001:db8:%d::%x\n' "$1" "$2"; }

prefixes() {
    local n
    for n in 1 2 3; do
        check "the router knows host $n's prefix" until_ok 20 leads "198.18.$((n * 4 - 4)).0/22" 192.0.2.$n
        check "of IPv6, too" until_ok 20 leads_v6 2001:db8:$n::/64 host$n
    done
    check "and nothing else: one route a host and family" [ "$(routes | wc -l) $(routes_v6 | wc -l)" = "3 3" ]
}

routes() { ip -n router route show proto bgp; }
routes_v6() { ip -n router -6 route show proto bgp; }
leads() { routes | grep "^${1%/32} .*via $2 "; }
# By the host's link-local address, which is made of its MAC address.
leads_v6() {
    local via
    via=$(ip -n "$2" -6 -o addr show dev eth0 scope link | sed -nE 's/.*inet6 (fe80[^/]*).*/\1/p')
    routes_v6 | grep -E "^${1%/128} .*via ($via|2001:db8::${2#host}) "
}
