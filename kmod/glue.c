// SPDX-License-Identifier: GPL-2.0
/* What does Rust call? Memory, time, and the bytes of a frame that lie in pages. */
#include <linux/slab.h>

#include "ipvl.h"

void *ipvl_c_alloc(size_t size)
{
	return kzalloc(size, GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT);
}

/* What Rust frees begins with a head. */
struct ipvl_memory {
	struct rcu_head rcu;
};

void ipvl_c_free(void *memory)
{
	struct ipvl_memory *object = memory;

	kvfree_rcu(object, rcu);
}

u64 ipvl_c_now(void)
{
	return ktime_get_ns();
}

int ipvl_c_read(const struct ipvl_view *view, u32 offset, u8 *to, u32 len)
{
	return skb_copy_bits(view->skb, (int)offset - (int)(view->skb->data - view->head), to, len);
}
