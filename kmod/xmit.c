// SPDX-License-Identifier: GPL-2.0
/* How is a verdict carried out, on what a slave sends and on what the master receives? */
#include <linux/inetdevice.h>
#include <net/addrconf.h>
#include <net/dst.h>
#include <net/ip6_route.h>
#include <net/l3mdev.h>
#include <net/neighbour.h>

#include "ipvl.h"

void ipvl_count_rx(struct net_device *dev, unsigned int len, bool ok, bool multicast)
{
	if (unlikely(!ok)) {
		DEV_STATS_INC(dev, rx_errors);
		DEV_STATS_INC(dev, rx_dropped);
		return;
	}
	dev_sw_netstats_rx_add(dev, len);
	if (multicast)
		DEV_STATS_INC(dev, multicast);
}

/* ---- single effects ---- */

/*
 * Acts: a frame of our own making, of which Rust wrote so many bytes, is received by a slave or the host, or leaves by the
 * master.
 */
static bool send_own(struct sk_buff *skb, size_t len, bool received)
{
	if (!len) {
		kfree_skb(skb);
		return false;
	}
	skb_put(skb, len);
	skb_reset_mac_header(skb);
	if (received) {
		skb->protocol = eth_type_trans(skb, skb->dev);
		if (!ipvl_is_slave(skb->dev))
			skb->pkt_type = PACKET_LOOPBACK; /* see up_host */
		return netif_rx(skb) == NET_RX_SUCCESS;
	}
	skb->protocol = eth_hdr(skb)->h_proto;
	return dev_queue_xmit(skb) == NET_XMIT_SUCCESS;
}

/* Acts: a question is answered here. */
bool ipvl_send_answer(struct ipvl_port *port, const struct ipvl_view *view, struct net_device *to, bool received)
{
	struct sk_buff *skb = netdev_alloc_skb_ip_align(to, IPVL_REPLY);

	return skb && send_own(skb, ipvl_answer(port->tables, view, skb->data, IPVL_REPLY), received);
}

/* Reads the address that the host's ICMP errors to a slave come from. */
static struct in6_addr router_address(struct net_device *master, const struct sk_buff *skb)
{
	struct in6_addr addr = in6addr_any;
	struct inet6_dev *in6 = __in6_dev_get(master);
	const struct inet6_ifaddr *ifa;

	if (eth_hdr(skb)->h_proto == htons(ETH_P_IP)) {
		ipv6_addr_set_v4mapped(inet_select_addr(master, 0, RT_SCOPE_UNIVERSE), &addr);
		return addr;
	}
	if (!in6)
		return addr;
	read_lock_bh(&in6->lock);
	list_for_each_entry(ifa, &in6->addr_list, if_list) {
		addr = ifa->addr;
		if (!(ipv6_addr_type(&addr) & IPV6_ADDR_LINKLOCAL))
			break;
	}
	read_unlock_bh(&in6->lock);
	return addr;
}

/* Acts: drops what a slave has sent, and counts why. */
static int drop(struct ipvl_slave *s, struct sk_buff *skb, u32 reason)
{
	ipvl_drop(s->dev, s->drops, skb, reason);
	return NET_XMIT_DROP;
}

/* Acts: the same, and tells the slave what a router would. */
static int refuse(struct ipvl_slave *s, struct sk_buff *skb, const struct ipvl_view *view, u64 verdict, u32 mtu)
{
	struct in6_addr router;
	struct sk_buff *error;

	if (ipvl_is_told(verdict)) {
		router = router_address(s->master, skb);
		error = netdev_alloc_skb_ip_align(s->dev, IPVL_REPLY);
		if (error)
			send_own(error, ipvl_icmp_error(s->port->tables, view, verdict, mtu, &router, error->data,
							IPVL_REPLY), true);
	}
	return drop(s, skb, IPVL_ARGUMENT(verdict));
}

/* Acts: up the host's stack, past our own rx_handler, which knows such frames by their type. */
static int up_host(struct ipvl_port *port, struct sk_buff *skb)
{
	if (__dev_forward_skb(port->dev, skb))
		return NET_XMIT_DROP;
	skb->pkt_type = PACKET_LOOPBACK;
	return netif_rx(skb) == NET_RX_SUCCESS ? NET_XMIT_SUCCESS : NET_XMIT_DROP;
}

/* Acts: out of the master; the marks of another netns mean nothing there. */
static int to_wire(struct ipvl_slave *s, struct sk_buff *skb)
{
	if (!net_eq(dev_net(s->dev), dev_net(s->master)))
		skb_scrub_packet(skb, true);
	skb->dev = s->master;
	return dev_queue_xmit(skb);
}

/* Acts: a frame is received by a slave, at its MAC address; false if that cannot be written. */
bool ipvl_to_sibling(struct net_device *to, struct sk_buff *skb)
{
	unsigned int len = skb->len;
	bool ok;

	if (unlikely(!ether_addr_equal_64bits(eth_hdr(skb)->h_dest, to->dev_addr)) &&
	    !is_multicast_ether_addr(eth_hdr(skb)->h_dest)) {
		if (skb_ensure_writable(skb, ETH_HLEN))
			return false;
		skb_reset_mac_header(skb);
		ether_addr_copy(eth_hdr(skb)->h_dest, to->dev_addr);
	}
	skb->pkt_type = PACKET_HOST;
	ok = dev_forward_skb(to, skb) == NET_RX_SUCCESS;
	ipvl_count_rx(to, len, ok, false);
	return true;
}

static int to_sibling(struct ipvl_slave *s, struct sk_buff *skb, u32 slot)
{
	struct net_device *to = ipvl_dev_in(s->port, slot);

	if (unlikely(!to))
		return drop(s, skb, IPVL_NO_SLAVE);
	if (unlikely(!ipvl_to_sibling(to, skb)))
		return drop(s, skb, IPVL_ACTION_FAILED);
	return NET_XMIT_SUCCESS;
}

/* ---- routing ---- */

/* Reads whether a packet exceeds its route's MTU and may not be fragmented. */
static bool exceeds(const struct sk_buff *skb, bool v4)
{
	const struct iphdr *ip = (const struct iphdr *)(skb->data + ETH_HLEN);

	return !skb_is_gso(skb) && skb->len - ETH_HLEN > dst_mtu(skb_dst(skb)) &&
	       !(v4 && !(ip->frag_off & htons(IP_DF)));
}

/* Acts: cuts off padding, which the host's stack would take for a part of the packet. */
static int trim(struct sk_buff *skb, bool v4)
{
	const struct iphdr *ip = (const struct iphdr *)(skb->data + ETH_HLEN);
	const struct ipv6hdr *ip6 = (const struct ipv6hdr *)ip;
	u32 len = v4 ? ntohs(ip->tot_len) : sizeof(*ip6) + ntohs(ip6->payload_len);

	return skb_is_gso(skb) ? 0 : pskb_trim_rcsum(skb, ETH_HLEN + len);
}

/* Acts: out of the slave's netns, whose marks mean nothing outside. */
static void leave_netns(struct ipvl_slave *s, struct sk_buff *skb)
{
	skb_scrub_packet(skb, !net_eq(dev_net(s->dev), dev_net(s->master)));
}

/* Acts: to where the host's stack has packets of its own. */
static void to_host_stack(struct sk_buff *skb, struct net_device *master)
{
	skb->dev = master;
	skb_pull(skb, ETH_HLEN);
	skb_reset_network_header(skb);
}

/* Acts: the packet, which has its route, is the host's now, as if the host had made it: OUTPUT and POSTROUTING see it. */
static int send_by_host(struct net_device *master, struct sk_buff *skb, bool v4)
{
	struct net *net = dev_net(master);
	int err;

	to_host_stack(skb, master);
	skb_unset_mac_header(skb);
	memset(skb->cb, 0, sizeof(skb->cb));
	err = v4 ? ip_local_out(net, NULL, skb) : ip6_local_out(net, NULL, skb);
	return net_xmit_eval(err) ? NET_XMIT_DROP : NET_XMIT_SUCCESS;
}

/* Acts: makes the IP header readable in one piece; false if it is not there. */
static bool pull_ip(struct sk_buff *skb, bool *v4)
{
	*v4 = eth_hdr(skb)->h_proto == htons(ETH_P_IP);
	if (!pskb_may_pull(skb, ETH_HLEN + (*v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr))))
		return false;
	skb_reset_mac_header(skb);
	return true;
}

/* Acts: out by the host's routing table; see ipvl_route for `out`. */
static int route(struct ipvl_slave *s, struct sk_buff *skb, struct ipvl_view *view, int out)
{
	u32 mtu = 0;
	bool v4;
	int err;

	if (!pull_ip(skb, &v4) || trim(skb, v4))
		return drop(s, skb, IPVL_ACTION_FAILED);
	leave_netns(s, skb);
	err = -ipvl_route(s->port, skb, out, v4);
	if (likely(!err)) {
		if (likely(!exceeds(skb, v4)))
			return send_by_host(s->master, skb, v4);
		err = EMSGSIZE;
		mtu = dst_mtu(skb_dst(skb));
		skb_dst_drop(skb);
	}
	ipvl_view(view, skb, skb->data); /* it may lie elsewhere by now */
	return refuse(s, skb, view, ipvl_route_refused(view, err), mtu);
}

/* Acts: out of the master, to the packet's destination as a neighbour. */
static int on_link(struct ipvl_slave *s, struct sk_buff *skb)
{
	struct neighbour *neigh;
	bool v4;

	if (!pull_ip(skb, &v4))
		return drop(s, skb, IPVL_ACTION_FAILED);
	skb->protocol = eth_hdr(skb)->h_proto;
	leave_netns(s, skb);
	to_host_stack(skb, s->master);
	neigh = v4 ? ip_neigh_gw4(s->master, ip_hdr(skb)->daddr) : ip_neigh_gw6(s->master, &ipv6_hdr(skb)->daddr);
	return IS_ERR(neigh) ? drop(s, skb, IPVL_ACTION_FAILED) : neigh_output(neigh, skb, false);
}

/* ---- verdicts ---- */

/* Acts: where a flooded frame itself goes, behind its copies. */
static int flooded(struct ipvl_slave *s, struct sk_buff *skb, u64 verdict)
{
	struct sk_buff *copy;

	switch (IPVL_THEN(verdict)) {
	case IPVL_THEN_WIRE_AND_HOST:
		copy = skb_clone(skb, GFP_ATOMIC);
		if (copy)
			up_host(s->port, copy);
		fallthrough;
	case IPVL_THEN_WIRE:
		return to_wire(s, skb);
	case IPVL_THEN_HOST:
		return up_host(s->port, skb);
	default:
		consume_skb(skb);
		return NET_XMIT_SUCCESS;
	}
}

static int act(struct ipvl_slave *s, struct sk_buff *skb, struct ipvl_view *view, u64 verdict)
{
	switch (verdict & 0xff) {
	case IPVL_DELIVER:
		return to_sibling(s, skb, IPVL_ARGUMENT(verdict));
	case IPVL_WIRE:
		return to_wire(s, skb);
	case IPVL_FLOOD:
		ipvl_flood(s->port, s, skb, view, verdict);
		return flooded(s, skb, verdict);
	case IPVL_ROUTE:
		return route(s, skb, view, 0);
	case IPVL_HOST_OUTPUT:
		return route(s, skb, view, s->master->ifindex);
	case IPVL_ON_LINK:
		return on_link(s, skb);
	case IPVL_HOST:
		return up_host(s->port, skb);
	case IPVL_ANSWER:
		if (!ipvl_send_answer(s->port, view, s->dev, true))
			return drop(s, skb, IPVL_ACTION_FAILED);
		consume_skb(skb);
		return NET_XMIT_SUCCESS;
	default:
		return refuse(s, skb, view, verdict, 0);
	}
}

netdev_tx_t ipvl_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct ipvl_slave *s = netdev_priv(dev);
	unsigned int len = skb->len;
	struct ipvl_view view;
	u64 verdict;
	int ret;

	/* eth_type_trans, later, reads the header without asking. */
	if (unlikely(!pskb_may_pull(skb, ETH_HLEN))) {
		dev_core_stats_tx_dropped_inc(dev);
		kfree_skb(skb);
		return NET_XMIT_DROP;
	}
	skb_reset_mac_header(skb);
	ipvl_view(&view, skb, skb->data);
	verdict = ipvl_egress(s->port->tables, &view, s->slot);
	if (unlikely(verdict & IPVL_DHCP))
		verdict = ipvl_dhcp(s->port, skb, &view, verdict, s->slot);
	this_cpu_write(ipvl_sending, skb); /* see host.c */
	ret = act(s, skb, &view, verdict);
	this_cpu_write(ipvl_sending, NULL);
	if (likely(ret == NET_XMIT_SUCCESS || ret == NET_XMIT_CN))
		dev_sw_netstats_tx_add(dev, 1, len);
	else
		dev_core_stats_tx_dropped_inc(dev);
	return ret;
}

/* Acts: a frame from outside becomes the slave's. */
static rx_handler_result_t to_slave(struct ipvl_port *port, struct sk_buff **pskb, u32 slot)
{
	struct net_device *to = ipvl_dev_in(port, slot);
	struct sk_buff *skb;

	if (!to)
		return RX_HANDLER_PASS;
	skb = skb_share_check(*pskb, GFP_ATOMIC);
	if (!skb)
		return RX_HANDLER_CONSUMED;
	*pskb = skb;
	ipvl_count_rx(to, skb->len + ETH_HLEN, true, false);
	skb->dev = to;
	return RX_HANDLER_ANOTHER;
}

/* Acts: the host's own stack gets it, with the type that its address says. */
static rx_handler_result_t to_host(struct sk_buff *skb)
{
	if (skb->pkt_type == PACKET_LOOPBACK && !skb_dst(skb))
		skb->pkt_type = ipvl_pkt_type(skb);
	return RX_HANDLER_PASS;
}

rx_handler_result_t ipvl_receive(struct sk_buff **pskb)
{
	struct sk_buff *skb = *pskb;
	struct ipvl_port *port = rcu_dereference(skb->dev->rx_handler_data);
	struct ipvl_view view;
	u64 verdict;

	if (!port)
		return RX_HANDLER_PASS;
	ipvl_view(&view, skb, skb_mac_header(skb));
	verdict = ipvl_ingress(port->tables, &view);
	if (unlikely(verdict & IPVL_DHCP))
		verdict = ipvl_dhcp(port, skb, &view, verdict, IPVL_NOBODY);
	switch (verdict & 0xff) {
	case IPVL_DELIVER:
		return to_slave(port, pskb, IPVL_ARGUMENT(verdict));
	case IPVL_FLOOD:
		ipvl_flood(port, NULL, skb, &view, verdict);
		return RX_HANDLER_PASS;
	case IPVL_ANSWER:
		ipvl_send_answer(port, &view, port->dev, false);
		consume_skb(skb);
		return RX_HANDLER_CONSUMED;
	case IPVL_DROP:
		ipvl_drop(port->dev, port->drops, skb, IPVL_ARGUMENT(verdict));
		return RX_HANDLER_CONSUMED;
	default:
		return to_host(skb);
	}
}
