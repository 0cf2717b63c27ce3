/* SPDX-License-Identifier: GPL-2.0 */
/* Which events can be watched? ipvlan:drop, for each frame that is dropped, or copies of it. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ipvlan

#if !defined(IPVL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IPVL_TRACE_H

#include <linux/tracepoint.h>

#include "ipvl.h"

/* skb:kfree_skb, which follows at once, has the same skbaddr. */
TRACE_EVENT(drop,
	TP_PROTO(const struct net_device *dev, const struct sk_buff *skb, u32 number),
	TP_ARGS(dev, skb, number),
	TP_STRUCT__entry(
		__field(const void *, skbaddr)
		__field(int, ifindex)
		__field(u32, len)
		__field(u32, number)
		__field(bool, sent)
		__array(char, dev, IFNAMSIZ)
		__array(char, reason, 24)
	),
	TP_fast_assign(
		__entry->skbaddr = skb;
		__entry->ifindex = dev->ifindex;
		__entry->len = skb->len;
		__entry->number = number;
		__entry->sent = ipvl_is_slave(dev);
		strscpy(__entry->dev, dev->name, IFNAMSIZ);
		__entry->reason[0] = 0;
		ipvl_reason_name(number, __entry->reason, sizeof(__entry->reason));
	),
	TP_printk("dev=%s ifindex=%d direction=%s reason=%s skbaddr=%p len=%u", __entry->dev, __entry->ifindex,
		  __entry->sent ? "sent" : "received", __entry->reason, __entry->skbaddr, __entry->len)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
