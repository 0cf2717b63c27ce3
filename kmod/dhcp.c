// SPDX-License-Identifier: GPL-2.0
/* How does Rust write into a DHCP message on its way? */
#include "ipvl.h"

/*
 * Acts on a verdict with IPVL_DHCP: the message becomes writable, as long as Rust wants it, and what Rust wants. Without memory
 * it stays as it is. What is left of the verdict.
 */
u64 ipvl_dhcp(struct ipvl_port *port, struct sk_buff *skb, struct ipvl_view *view, u64 verdict, u32 from)
{
	u32 growth = ipvl_dhcp_growth(port->tables, view, verdict, from);
	u32 before = skb->data - view->head;
	bool ok = !skb_shared(skb) && !skb_ensure_writable(skb, skb->len) &&
		  !__skb_put_padto(skb, skb->len + growth, false);

	ipvl_view(view, skb, skb->data - before);
	if (ok) {
		ipvl_dhcp_write(port->tables, view, verdict, from, growth, skb->ip_summed == CHECKSUM_PARTIAL);
		if (skb->ip_summed == CHECKSUM_COMPLETE)
			skb->ip_summed = CHECKSUM_NONE;
	}
	return verdict & ~IPVL_DHCP;
}
