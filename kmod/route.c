// SPDX-License-Identifier: GPL-2.0
/*
 * By which route of the host does a slave's packet leave?
 *
 * Each CPU remembers some routes of each port. The kernel itself says whether one still holds (dst_check): any change of
 * its tables, rules, addresses or path MTUs ends it. It does not say that another of several gateways is the better by now,
 * so each is looked up again every second. A cache holds its reference as long as the entry stands, and packets borrow it
 * (RCU).
 */
#include <linux/hash.h>
#include <net/dst.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/l3mdev.h>

#include "ipvl.h"

#define ROUTES_BITS 7

/* All that a lookup depends on. */
struct route_key {
	u64 daddr[2], saddr[2];	/* IPv4: the first half, and the other is zero */
	u32 flow, proto;	/* TOS, or flow label with traffic class */
	u32 mark, out;
};

struct route_entry {
	struct dst_entry *dst;
	u32 cookie;
	unsigned long until;	/* jiffies */
	struct route_key key;
};

struct ipvl_routes {
	struct route_entry at[1 << ROUTES_BITS];
};

struct ipvl_routes __percpu *ipvl_routes_new(void)
{
	return alloc_percpu_gfp(struct ipvl_routes, GFP_KERNEL_ACCOUNT);
}

void ipvl_routes_forget(struct ipvl_port *port)
{
	int cpu, i;

	if (!port->routes)
		return;
	for_each_possible_cpu(cpu)
		for (i = 0; i < 1 << ROUTES_BITS; i++)
			dst_release(xchg(&per_cpu_ptr(port->routes, cpu)->at[i].dst, NULL));
}

static const void *ip_header(const struct sk_buff *skb)
{
	return skb->data + ETH_HLEN;
}

/* Reads what a packet's route depends on. */
static struct route_key key_of(const struct sk_buff *skb, int out, bool v4)
{
	const struct ipv6hdr *ip6 = ip_header(skb);
	const struct iphdr *ip = ip_header(skb);
	struct route_key key = { .mark = skb->mark, .out = out };

	if (v4) {
		key.daddr[0] = (__force u32)ip->daddr;
		key.saddr[0] = (__force u32)ip->saddr;
		key.flow = ip->tos;
	} else {
		memcpy(key.daddr, &ip6->daddr, sizeof(key.daddr));
		memcpy(key.saddr, &ip6->saddr, sizeof(key.saddr));
		key.flow = (__force u32)ip6_flowinfo(ip6);
		key.proto = ip6->nexthdr + 1; /* so it is no key of IPv4 */
	}
	return key;
}

static bool same(const struct route_key *a, const struct route_key *b)
{
	return a->daddr[0] == b->daddr[0] && a->daddr[1] == b->daddr[1] && a->saddr[0] == b->saddr[0] &&
	       a->saddr[1] == b->saddr[1] && a->flow == b->flow && a->proto == b->proto && a->mark == b->mark &&
	       a->out == b->out;
}

static u32 hash_of(const struct route_key *key)
{
	return hash_64(key->daddr[0] ^ rol64(key->daddr[1], 16) ^ rol64(key->saddr[0], 32) ^ rol64(key->saddr[1], 48) ^
		       key->flow, ROUTES_BITS);
}

/* Reads the host's routing table for an IPv4 packet. */
static struct dst_entry *look_up_v4(struct net_device *master, const struct sk_buff *skb, int out)
{
	const struct iphdr *ip = ip_header(skb);
	struct flowi4 fl4 = {
		.flowi4_l3mdev = l3mdev_master_ifindex_rcu(master),
		.flowi4_oif = out,
		.flowi4_flags = FLOWI_FLAG_ANYSRC,
		.flowi4_mark = skb->mark,
		.daddr = ip->daddr,
		.saddr = ip->saddr,
	};
	struct rtable *rt;

	ipvl_flow_dscp(&fl4, ip);
	rt = ip_route_output_flow(dev_net(master), &fl4, NULL);
	if (IS_ERR(rt))
		return ERR_CAST(rt);
	if (rt->rt_type == RTN_UNICAST || (rt->rt_type == RTN_LOCAL && out))
		return &rt->dst;
	ip_rt_put(rt);
	return ERR_PTR(-ENETUNREACH);
}

static struct dst_entry *look_up_v6(struct net_device *master, const struct sk_buff *skb, int out)
{
	const struct ipv6hdr *ip = ip_header(skb);
	struct flowi6 fl6 = {
		.flowi6_l3mdev = l3mdev_master_ifindex_rcu(master),
		.flowi6_oif = ipv6_addr_type(&ip->daddr) & IPV6_ADDR_LINKLOCAL ? master->ifindex : out,
		.flowi6_flags = FLOWI_FLAG_ANYSRC,
		.flowi6_mark = skb->mark,
		.flowi6_proto = ip->nexthdr,
		.flowlabel = ip6_flowinfo(ip),
		.daddr = ip->daddr,
		.saddr = ip->saddr,
	};
	struct dst_entry *dst = ip6_route_output(dev_net(master), NULL, &fl6);
	int err = dst->error;

	if (!err)
		return dst;
	dst_release(dst);
	return ERR_PTR(err);
}

/* Reads: whether a route leads back to the slave that is sending, which would ask for it again, without end. */
static bool is_circle(const struct sk_buff *skb, const struct dst_entry *dst)
{
	return dst->dev == skb->dev;
}

/* Acts: remembers a route in this CPU's entry. What another CPU forgets meanwhile, packets may still borrow. */
static void remember(struct route_entry *entry, const struct route_key *key, struct dst_entry *dst, bool v4)
{
	dst_release(xchg(&entry->dst, NULL));
	entry->key = *key;
	entry->until = jiffies + HZ;
	entry->cookie = v4 ? 0 : rt6_get_cookie(container_of(dst, struct rt6_info, dst));
	dst_release(xchg(&entry->dst, dst));
}

/*
 * Acts: gives a packet, which begins with its Ethernet header, the host's route; 0 or a negative errno. `out` is the device
 * that the route must lead to: in l3s the master, as with the C driver, so that a packet without a route passes OUTPUT all
 * the same, where it may get another destination. In l3 it is 0, and the host's table is obeyed.
 */
int ipvl_route(struct ipvl_port *port, struct sk_buff *skb, int out, bool v4)
{
	const struct route_key key = key_of(skb, out, v4);
	struct route_entry *entry = &this_cpu_ptr(port->routes)->at[hash_of(&key)];
	struct dst_entry *dst = READ_ONCE(entry->dst);

	if (likely(dst && same(&entry->key, &key) && time_before(jiffies, entry->until) &&
		   dst_check(dst, entry->cookie))) {
		skb_dst_set_noref(skb, dst);
		return 0;
	}
	dst = v4 ? look_up_v4(port->dev, skb, out) : look_up_v6(port->dev, skb, out);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (is_circle(skb, dst)) {
		dst_release(dst);
		return -ENETUNREACH;
	}
	skb_dst_set(skb, dst);
	if (!irqs_disabled()) /* netconsole may have come upon this CPU in the midst of another packet */
		remember(entry, &key, dst_clone(dst), v4);
	return 0;
}
