// SPDX-License-Identifier: GPL-2.0
/*
 * How does one frame reach thousands of slaves?
 *
 * A clone of it waits for a work item, which copies it in chunks. The frame itself goes its own way at once. A source
 * that has used up its budget (core's token bucket), or has too many frames waiting, loses its own copies and nobody
 * else's.
 */
#include "ipvl.h"

#define CHUNK 64

/* What is remembered of a frame that waits. */
struct waiting {
	u64 verdict;
	struct ipvl_slave *from; /* NULL for the wire */
	netdevice_tracker tracker;
};

static struct waiting *waiting(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct waiting) > sizeof(skb->cb));
	return (struct waiting *)skb->cb;
}

static atomic_t *queued(struct ipvl_port *port, struct ipvl_slave *from)
{
	return from ? &from->queued : &port->queued;
}

void ipvl_flood(struct ipvl_port *port, struct ipvl_slave *from, struct sk_buff *skb, const struct ipvl_view *view,
		u64 verdict)
{
	u32 begin = ipvl_flood_begin(port->tables, view, verdict, atomic_read(queued(port, from)));
	struct sk_buff *clone = begin == IPVL_FLOOD_BEGINS ? skb_clone(skb, GFP_ATOMIC) : NULL;

	if (begin == IPVL_FLOOD_NOBODY)
		return;
	if (!clone) {
		ipvl_count_drop(from ? from->dev : port->dev, from ? from->drops : port->drops, skb,
				begin == IPVL_FLOOD_BEGINS ? IPVL_CLONE_FAILED : IPVL_FLOOD_LIMIT);
		return;
	}
	atomic_inc(queued(port, from));
	waiting(clone)->verdict = verdict;
	waiting(clone)->from = from;
	if (from)
		netdev_hold(from->dev, &waiting(clone)->tracker, GFP_ATOMIC);
	skb_queue_tail(&port->backlog, clone);
	schedule_work(&port->flood);
}

/* Acts: one slave gets a copy, at once: a queue of the CPU would be full before the last of them. */
static void copy_to(struct net_device *to, struct sk_buff *skb, bool from_slave)
{
	struct sk_buff *copy = skb_clone(skb, GFP_ATOMIC);
	unsigned int len = skb->len + (from_slave ? 0 : ETH_HLEN);
	bool ok = copy && (!from_slave || !__dev_forward_skb(to, copy));

	ipvl_count_rx(to, len, ok, true);
	if (!ok)
		return;
	if (!from_slave) {
		copy->dev = to;
		copy->pkt_type = ipvl_pkt_type(copy);
	}
	netif_receive_skb(copy);
}

/* Acts: some of the slaves that get copies; the slot to go on with. */
static u32 copy_chunk(struct ipvl_port *port, struct sk_buff *skb, u32 slot)
{
	struct net_device *to;
	struct ipvl_view view;
	u32 slots[CHUNK];
	size_t i, n;

	ipvl_view(&view, skb, skb_mac_header(skb));
	n = ipvl_flood_next(port->tables, &view, waiting(skb)->verdict, slot, slots, CHUNK);
	for (i = 0; i < n; i++) {
		to = ipvl_dev_in(port, slots[i]);
		if (to)
			copy_to(to, skb, waiting(skb)->from);
	}
	return n < CHUNK ? IPVL_NOBODY : slots[n - 1] + 1;
}

/* Acts: all slaves that get copies, with pauses. */
static void copy_to_all(struct ipvl_port *port, struct sk_buff *skb)
{
	u32 slot;

	if (!waiting(skb)->from)
		skb_scrub_packet(skb, true);
	for (slot = 0; slot != IPVL_NOBODY; cond_resched()) {
		local_bh_disable();
		rcu_read_lock();
		slot = copy_chunk(port, skb, slot);
		rcu_read_unlock();
		local_bh_enable();
	}
}

void ipvl_flood_work(struct work_struct *work)
{
	struct ipvl_port *port = container_of(work, struct ipvl_port, flood);
	struct sk_buff *skb;

	while ((skb = skb_dequeue(&port->backlog))) {
		copy_to_all(port, skb);
		atomic_dec(queued(port, waiting(skb)->from));
		if (waiting(skb)->from)
			netdev_put(waiting(skb)->from->dev, &waiting(skb)->tracker);
		consume_skb(skb);
	}
}
