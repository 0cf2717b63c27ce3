# Answers: what happens to slaves that move between the hosts of engines/hosts.sh, and to those of a host that dies, whichever
# protocol routers speak? The slaves are app1 to app3, and near on host 1. Sourced inside of a tree, after hosts.sh.
# shellcheck shell=bash

begin() {
    network
    local n
    check "FRR takes the shipped configuration" daemons
    for n in 1 2 3; do check "host $n has a slave" slave "$n" "app$n" "$n" 10; done
    check "and host 1 another" slave 1 near 1 11
    prefixes
}

reached() {
    local n
    for n in 1 2 3; do
        check "the client reaches host $n's slave" until_ok 5 from client "$(v4 $n 10)"
        check "by IPv6, too" until_ok 5 from client "$(v6 $n 10)"
    done
    check "slaves of two hosts reach each other" until_ok 5 from app1 "$(v4 2 10)"
    check "by IPv6, too" until_ok 5 from app3 "$(v6 1 10)"
    check_not "an address that no slave has is not reached" from client "$(v4 1 99)"
    check "nor does a packet to it go round" no_loop "$(v4 1 99)"
}
no_loop() { ! says "Time to live" ip netns exec client ping -n -c 1 -W 1 "$1" >/dev/null; }

# The slave of host 1 goes to host 2, and on to host 3: the container is another, the address is the same.
moves() {
    watch "$(v4 1 10)" "$(v6 1 10)"
    ip -n app1 link del eth0
    slave 2 app1 1 10
    check "a slave moves to another host: the router knows" until_ok 5 leads "$(v4 1 10)/32" 192.0.2.2
    check "of IPv6, too" until_ok 5 leads_v6 "$(v6 1 10)/128" host2
    watched "it" 2000
    check "its former host's slaves reach it where it is now" until_ok 5 from near "$(v4 1 10)"
    check "by IPv6, too" until_ok 5 from near "$(v6 1 10)"
    watch "$(v4 1 10)" "$(v6 1 10)"
    slave 3 app1b 1 10
    ip -n app1 link del eth0
    check "it moves on, the new one made first: the router knows" until_ok 5 leads "$(v4 1 10)/32" 192.0.2.3
    watched "it" 2000
}

comes_home() {
    watch "$(v4 1 10)" "$(v6 1 10)"
    ip -n app1b link del eth0
    slave 1 app1 1 10
    check "it comes home: no route of its own is left" until_ok 5 not leads "$(v4 1 10)/32" 192.0.2.3
    check "of IPv6, too" until_ok 5 not leads_v6 "$(v6 1 10)/128" host3
    check "and the client reaches it" until_ok 5 from client "$(v4 1 10)"
    watched "it" 2000
}

# dies MOST: in milliseconds.
dies() {
    cut
    check "a host dies: by BFD the router leaves it within $1 ms" within 0 "$1" until_ok 5 not leads 198.18.8.0/22 192.0.2.3
    check "of IPv6, too" until_ok 1 not leads_v6 2001:db8:3::/64 host3
    check "its slave comes up on another host" slave 1 app3b 3 10
    check "which the router knows" until_ok 5 leads "$(v4 3 10)/32" 192.0.2.1
    check "and the client reaches" until_ok 5 from client "$(v4 3 10)"
    check "by IPv6, too" until_ok 5 from client "$(v6 3 10)"
    mend
    check "the host is back, with its prefix" until_ok 20 leads 198.18.8.0/22 192.0.2.3
    check "its slave stays where it is announced by itself" until_ok 5 leads "$(v4 3 10)/32" 192.0.2.1
    ip -n app3b link del eth0
    check "and is the old one when that is deleted" until_ok 10 from client "$(v4 3 10)"
}
