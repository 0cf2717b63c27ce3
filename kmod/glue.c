// SPDX-License-Identifier: GPL-2.0
/* What does Rust call? Memory, time, the port's lock, and the bytes of a frame that lie in pages. */
#include <linux/slab.h>

#include "ipvl.h"

void *ipvl_c_alloc(size_t size, bool may_wait)
{
	return may_wait ? kvzalloc(size, GFP_KERNEL_ACCOUNT) : kzalloc(size, GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT);
}

void ipvl_c_free(struct ipvl_memory *memory)
{
	kvfree_rcu(memory, rcu);
}

u64 ipvl_c_now(void)
{
	return ktime_get_ns();
}

void ipvl_c_lock(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void ipvl_c_unlock(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

int ipvl_c_read(const struct ipvl_view *view, u32 offset, u8 *to, u32 len)
{
	return skb_copy_bits(view->skb, (int)offset - (int)(view->skb->data - view->head), to, len);
}
