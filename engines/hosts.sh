# Answers: on which stage do tests with several hosts play? Three hosts behind a router, all with FRR and the configuration
# that is shipped (docs/hosts.md), and a client behind the router. Sourced inside of a tree, after inside.sh.
# shellcheck shell=bash
frr=/usr/lib/frr
# How hosts and router tell each other of routes: bgp or ospf.
protocol=${protocol:-bgp}

# 192.0.2.0/24 and 2001:db8::/64 with hosts 1 to 3 and the router, 254, which has 203.0.113.0/24 behind it.
network() {
    local n
    ip netns add router
    ip -n router link set lo up
    # Without an address of its own a bridge takes the least of its ports', and so another one when a host is cut off.
    ip -n router link add lan address 02:00:00:00:00:fe type bridge
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
    local n kind=
    [ "$protocol" = bgp ] || kind=-$protocol
    start_frr router "/src/deploy/frr/router$kind.conf" || return
    for n in 1 2 3; do
        sed "s/65001/6500$n/; s/router-id .*/router-id 192.0.2.$n/; s#198.18.0.0/22#198.18.$((n * 4 - 4)).0/22#
            s/2001:db8:1:/2001:db8:$n:/" "/src/deploy/frr/host$kind.conf" >/tmp/host$n.conf
        start_frr host$n /tmp/host$n.conf || return
    done
}

start_frr() { # NETNS FILE
    local daemon routing=bgpd
    [ "$protocol" = bgp ] || routing="ospfd ospf6d"
    install -d -o frr -g frr /run/frr/"$1" /etc/frr/"$1"
    for daemon in mgmtd zebra staticd bfdd $routing; do
        # shellcheck disable=SC2046
        ip netns exec "$1" $frr/$daemon -d -N "$1" $(zserv $daemon "$1") -A 127.0.0.1 --log file:/tmp/"$1".$daemon.log \
            >/tmp/"$1".$daemon.said 2>&1 || { cat /tmp/"$1".$daemon.said; return 1; }
    done
    cp "$2" /etc/frr/"$1"/frr.conf
    : >/etc/frr/"$1"/vtysh.conf
    says_nothing_wrong vtysh -N "$1" -b -n
}

restart_frr() { # NETNS
    local running
    running=$(cat /run/frr/"$1"/*.pid)
    # shellcheck disable=SC2086
    kill $running
    until_ok 20 none_lives $running && start_frr "$1" "/tmp/$1.conf"
}
none_lives() { ! kill -0 "$@" 2>/dev/null; }

# All but mgmtd talk to zebra, which gets as much room for the kernel's news as Debian gives it: of what is lost it never asks.
zserv() {
    case $1 in
    mgmtd) ;;
    zebra) echo "-z /run/frr/$2/zserv.api -s 90000000" ;;
    *) echo "-z /run/frr/$2/zserv.api" ;;
    esac
}

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

routes() { ip -n router route show proto "$protocol"; }
routes_v6() { ip -n router -6 route show proto "$protocol"; }
leads() { routes | grep "^${1%/32} .*via $2 "; }
# By the host's link-local address, which is made of its MAC address.
leads_v6() {
    local via
    via=$(ip -n "$2" -6 -o addr show dev eth0 scope link | sed -nE 's/.*inet6 (fe80[^/]*).*/\1/p')
    routes_v6 | grep -E "^${1%/128} .*via ($via|2001:db8::${2#host}) "
}

# slave HOST NETNS PREFIX NUMBER: with an address of that host's prefix, of both families.
slave() {
    ip netns add "$2" 2>/dev/null
    ip netns exec "host$1" ipvl link add link eth0 name eth0 netns "$2" type ipvlan mode l3 host on &&
        ip -n "$2" link set lo up &&
        ip -n "$2" addr add "$(v4 "$3" "$4")/32" dev eth0 && ip -n "$2" addr add "$(v6 "$3" "$4")/128" dev eth0 nodad &&
        ip -n "$2" link set eth0 up && ip -n "$2" route add default dev eth0 && ip -n "$2" -6 route add default dev eth0
}

from() { ip netns exec "$1" ping -n -c 1 -W 1 "$2"; }

# watch ADDRESS...: from now on the client asks each 50 times a second.
watch() {
    local n=0 address
    watching=() watched=("$@")
    for address; do
        until_ok 5 from client "$address" >/dev/null
        ip netns exec client ping -n -i 0.02 -W 1 "$address" >/tmp/watch.$n 2>&1 &
        watching+=($!)
        n=$((n + 1))
    done
    sleep 0.5
}

# watched WHAT MOST: how long each missed answers, in milliseconds.
watched() {
    local n address
    for address in "${watched[@]}"; do until_ok 10 from client "$address" >/dev/null; done
    sleep 1
    kill -INT "${watching[@]}"
    wait "${watching[@]}" 2>/dev/null
    for n in "${!watching[@]}"; do
        local missed
        missed=$(($(sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/(\1-\2)*20/p' /tmp/watch.$n)))
        check "a client (IPv$((n * 2 + 4))) missed $1 for $missed ms, $2 at most" [ "$missed" -le "$2" ]
        check "and got answers afterwards" answered_to_the_end /tmp/watch.$n
    done
}
# The last answer is of the last half of a second.
answered_to_the_end() {
    local sent last
    sent=$(sed -nE 's/^([0-9]+) packets.*/\1/p' "$1")
    last=$(grep -oE 'icmp_seq=[0-9]+ ttl' "$1" | tail -1 | tr -dc 0-9)
    echo "$last of $sent"
    [ $((sent - last)) -le 25 ]
}

# Nothing says good-bye: no frame passes, but both ends keep their carrier.
cut() { ip -n router link set host3 nomaster; }
mend() { ip -n router link set host3 master lan; }
