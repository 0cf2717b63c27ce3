// SPDX-License-Identifier: GPL-2.0
/*
 * How does an l3s slave get packets that the host's PREROUTING and INPUT have seen? As with the C driver: the master's
 * l3mdev hook routes the packet as one that the slave has received, and the last hook of INPUT makes it the slave's.
 */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/ip6_route.h>
#include <net/l3mdev.h>

#include "ipvl.h"

/* Reads: the slave that a packet of the master is for. Its header was checked by the host's stack. */
static struct net_device *receiver(const struct net_device *master, const struct sk_buff *skb, u8 family)
{
	struct ipvl_port *port = master && ipvl_is_master(master) ? rcu_dereference(master->rx_handler_data) : NULL;
	struct in6_addr addr;
	int slot;

	if (!port)
		return NULL;
	if (family == AF_INET)
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, &addr);
	else
		addr = ipv6_hdr(skb)->daddr;
	slot = ipvl_l3s_receiver(port->tables, &addr);
	return slot < 0 ? NULL : ipvl_dev_in(port, slot);
}

/* Acts: routes a packet as the slave does. */
static void route_v6(struct net_device *dev, struct sk_buff *skb)
{
	const struct ipv6hdr *ip = ipv6_hdr(skb);
	struct flowi6 fl6 = {
		.flowi6_iif = dev->ifindex,
		.daddr = ip->daddr,
		.saddr = ip->saddr,
		.flowlabel = ip6_flowinfo(ip),
		.flowi6_mark = skb->mark,
		.flowi6_proto = ip->nexthdr,
	};

	skb_dst_drop(skb);
	skb_dst_set(skb, ip6_route_input_lookup(dev_net(dev), dev, &fl6, skb, RT6_LOOKUP_F_HAS_SADDR));
}

static struct sk_buff *l3_rcv(struct net_device *master, struct sk_buff *skb, u16 proto)
{
	struct net_device *dev = receiver(master, skb, proto);

	if (dev && proto == AF_INET)
		ipvl_route_input(skb, ip_hdr(skb), dev);
	else if (dev)
		route_v6(dev, skb);
	return skb;
}

static const struct l3mdev_ops l3mdev_ops = { .l3mdev_l3_rcv = l3_rcv };

/* Acts: behind the host's INPUT the packet is the slave's. */
static unsigned int on_local_in(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct net_device *dev = receiver(skb->dev, skb, state->pf);

	if (!dev)
		return NF_ACCEPT;
	skb->dev = dev;
	skb->skb_iif = dev->ifindex;
	if (state->pf == NFPROTO_IPV6)
		IP6CB(skb)->iif = dev->ifindex;
	ipvl_count_rx(dev, skb->len + ETH_HLEN, true, false);
	return NF_ACCEPT;
}

/* Each port with l3s slaves registers them in its netns. A second hook finds that the packet is no master's any more. */
static const struct nf_hook_ops hooks[] = {
	{ .hook = on_local_in, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN, .priority = INT_MAX },
	{ .hook = on_local_in, .pf = NFPROTO_IPV6, .hooknum = NF_INET_LOCAL_IN, .priority = INT_MAX },
};

/*
 * Registers the operations. The kernel reads them after the flag, without a barrier: a grace period between the two keeps a
 * packet from seeing the flag alone.
 */
static void use_operations(struct net_device *master)
{
	if (master->l3mdev_ops == &l3mdev_ops)
		return;
	WRITE_ONCE(master->l3mdev_ops, &l3mdev_ops);
	synchronize_net();
}

/* Registers or unregisters. The operations stay: a packet under way may still call them, and they find no slave. */
int ipvl_l3s_hooks(struct ipvl_port *port, bool on)
{
	struct net *net = read_pnet(&port->net);
	int err = on ? nf_register_net_hooks(net, hooks, ARRAY_SIZE(hooks)) : 0;

	if (on && !err) {
		use_operations(port->dev);
		port->dev->priv_flags |= IFF_L3MDEV_RX_HANDLER;
	} else if (!on && port->dev->priv_flags & IFF_L3MDEV_RX_HANDLER) {
		port->dev->priv_flags &= ~IFF_L3MDEV_RX_HANDLER;
		nf_unregister_net_hooks(net, hooks, ARRAY_SIZE(hooks));
	}
	return err;
}
