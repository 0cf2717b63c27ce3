// SPDX-License-Identifier: GPL-2.0
/*
 * How does an l3s slave get packets that the host's PREROUTING and INPUT have seen? As with the C driver: the master's
 * l3mdev hook routes the packet as one that the slave has received, and the last hook of INPUT makes it the slave's.
 */
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/ip6_route.h>
#include <net/l3mdev.h>
#include <net/netns/generic.h>

#include "ipvl.h"

static unsigned int net_id __read_mostly;

struct l3s_net {
	unsigned int ports;
};

/* Reads: the slave that a packet of the master is for. */
static struct net_device *receiver(const struct net_device *master, const struct sk_buff *skb)
{
	struct ipvl_port *port;
	struct ipvl_view view;
	int slot;

	if (!master || !ipvl_is_master(master))
		return NULL;
	port = rcu_dereference(master->rx_handler_data);
	if (!port)
		return NULL;
	ipvl_view_packet(&view, skb);
	slot = ipvl_l3s_receiver(port->tables, &view);
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
	struct net_device *dev = receiver(master, skb);

	if (!dev)
		return skb;
	if (proto == AF_INET)
		ipvl_route_input(skb, ip_hdr(skb), dev);
	else if (proto == AF_INET6)
		route_v6(dev, skb);
	return skb;
}

static const struct l3mdev_ops l3mdev_ops = { .l3mdev_l3_rcv = l3_rcv };

/* Acts: behind the host's INPUT the packet is the slave's. */
static unsigned int on_local_in(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct net_device *dev = receiver(skb->dev, skb);

	if (!dev)
		return NF_ACCEPT;
	skb->dev = dev;
	skb->skb_iif = dev->ifindex;
	if (state->pf == NFPROTO_IPV6)
		IP6CB(skb)->iif = dev->ifindex;
	ipvl_count_rx(dev, skb->len + ETH_HLEN, true, false);
	return NF_ACCEPT;
}

static const struct nf_hook_ops hooks[] = {
	{ .hook = on_local_in, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN, .priority = INT_MAX },
	{ .hook = on_local_in, .pf = NFPROTO_IPV6, .hooknum = NF_INET_LOCAL_IN, .priority = INT_MAX },
};

/* Registers the hooks of a netns with its first port that has l3s slaves. */
static int hooks_get(struct net *net)
{
	struct l3s_net *own = net_generic(net, net_id);
	int err = 0;

	if (!own->ports)
		err = nf_register_net_hooks(net, hooks, ARRAY_SIZE(hooks));
	if (!err)
		own->ports++;
	return err;
}

static void hooks_put(struct net *net)
{
	struct l3s_net *own = net_generic(net, net_id);

	if (!own->ports || --own->ports)
		return;
	nf_unregister_net_hooks(net, hooks, ARRAY_SIZE(hooks));
}

int ipvl_l3s_get(struct ipvl_port *port)
{
	int err = 0;

	if (!port->l3s)
		err = hooks_get(read_pnet(&port->net));
	if (err)
		return err;
	if (!port->l3s++) {
		port->dev->l3mdev_ops = &l3mdev_ops;
		port->dev->priv_flags |= IFF_L3MDEV_RX_HANDLER;
	}
	return 0;
}

/* The operations stay: a packet that is under way may still call them, and they find no slave. */
void ipvl_l3s_put(struct ipvl_port *port)
{
	if (--port->l3s)
		return;
	port->dev->priv_flags &= ~IFF_L3MDEV_RX_HANDLER;
	hooks_put(read_pnet(&port->net));
}

void ipvl_l3s_migrate(struct ipvl_port *port, struct net *from, struct net *to)
{
	if (!port->l3s)
		return;
	if (hooks_get(to))
		netdev_err(port->dev, "no hooks in the new namespace: l3s slaves get no packets\n");
	hooks_put(from);
}

static void __net_exit l3s_net_exit(struct net *net)
{
	struct l3s_net *own = net_generic(net, net_id);

	if (WARN_ON_ONCE(own->ports)) {
		own->ports = 0;
		nf_unregister_net_hooks(net, hooks, ARRAY_SIZE(hooks));
	}
}

static struct pernet_operations l3s_net_ops = {
	.exit = l3s_net_exit,
	.id = &net_id,
	.size = sizeof(struct l3s_net),
};

int ipvl_l3s_init(void)
{
	return register_pernet_subsys(&l3s_net_ops);
}

void ipvl_l3s_exit(void)
{
	unregister_pernet_subsys(&l3s_net_ops);
}
