// SPDX-License-Identifier: GPL-2.0
/*
 * How does one learn why a frame was dropped? A counter of the slave, or of the master for what comes from outside, the
 * event ipvlan:drop, and the kernel's own event skb:kfree_skb.
 *
 * That one cannot have our names: it prints those of the kernel's own list alone, and each subsystem that may register
 * more (drop_reasons_register_subsys) has its number in the kernel's source, none of which is a module's from outside.
 * So it has the nearest of the kernel's own.
 */
#include "ipvl.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static const enum skb_drop_reason nearest[IPVL_REASONS] = {
	[0 /* truncated */] = SKB_DROP_REASON_PKT_TOO_SMALL,
	[1 /* malformed */] = SKB_DROP_REASON_IP_INHDR,
	[3 /* foreign-mac */] = IPVL_SKB_FOREIGN_MAC,
	[4 ... 6 /* spoofed-host, spoofed-slave, not-owned */] = SKB_DROP_REASON_IP_RPFILTER,
	[7 /* not-ip */] = SKB_DROP_REASON_UNHANDLED_PROTO,
	[11 /* slave-down */] = SKB_DROP_REASON_DEV_READY,
	[14 /* no-slave */] = SKB_DROP_REASON_DEV_READY,
	[16 ... 19 /* no-route, blackhole, unreachable, prohibit */] = SKB_DROP_REASON_IP_OUTNOROUTES,
	[20 /* too-big */] = SKB_DROP_REASON_PKT_TOO_BIG,
	[22 /* flood-limit */] = IPVL_SKB_FLOOD_LIMIT,
	[23 /* clone-failed */] = SKB_DROP_REASON_NOMEM,
	[27 /* foreign-protocol */] = SKB_DROP_REASON_UNHANDLED_PROTO,
	[30 /* not-declared */] = SKB_DROP_REASON_IP_RPFILTER,
};

void ipvl_count_drop(const struct net_device *dev, struct ipvl_drops __percpu *drops, const struct sk_buff *skb,
		     u32 reason)
{
	this_cpu_inc(drops->of[reason % IPVL_REASONS]);
	trace_drop(dev, skb, reason);
}

void ipvl_drop(const struct net_device *dev, struct ipvl_drops __percpu *drops, struct sk_buff *skb, u32 reason)
{
	ipvl_count_drop(dev, drops, skb, reason);
	kfree_skb_reason(skb, nearest[reason % IPVL_REASONS] ?: SKB_DROP_REASON_NOT_SPECIFIED);
}

void ipvl_read_drops(const struct ipvl_drops __percpu *drops, u64 *data)
{
	int cpu, i;

	memset(data, 0, IPVL_REASONS * sizeof(*data));
	for_each_possible_cpu(cpu)
		for (i = 0; i < IPVL_REASONS; i++)
			data[i] += READ_ONCE(per_cpu_ptr(drops, cpu)->of[i]);
}
