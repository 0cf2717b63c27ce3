//! What can be done with a frame at a hook? The single effects, without a choice between them.

use crate::maps::Maps;
use crate::skb::Skb;
use aya_ebpf::bindings::{BPF_F_INGRESS, TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::generated::{bpf_clone_redirect, bpf_redirect, bpf_skb_store_bytes};
use ipvl_core::{IfIndex, Reason, Slot, Tables, WIRE};

/// The TC action that lets other programs at this hook see the frame, and then the host's stack.
pub const HOST: i32 = TC_ACT_UNSPEC;
/// The TC action that drops the frame.
pub const DROP: i32 = TC_ACT_SHOT as i32;
/// Not a TC action: the frame is still to be turned into an ICMP error, see [`PacketCtx::fail`].
pub const ICMP_ERROR: i32 = 0x100;

/// A frame at a hook.
pub struct PacketCtx<'a> {
    pub skb: &'a Skb,
    /// The slave that sent it, or the wire.
    pub source: Slot,
}

impl PacketCtx<'_> {
    /// Counts the frame as sent by its slave.
    #[inline(always)]
    pub fn count_sent(&self) {
        if self.source != WIRE {
            Maps.count_sent(self.source, self.skb.context.len());
        }
    }

    /// Out of the master.
    #[inline(always)]
    pub fn wire(&self) -> i32 {
        self.skb.clear_mark();
        redirect(Maps.port().master, 0)
    }

    /// Up the host's stack. Marks that others set on a frame from the wire are kept; marks of a slave's frame are not.
    #[inline(always)]
    pub fn host(&self) -> i32 {
        if self.is_netkit() {
            return self.defer(WIRE);
        }
        if self.source != WIRE || self.skb.resumed_at().is_some() {
            self.skb.clear_mark();
        }
        HOST
    }

    /// Dropped and counted; the slave that sent the frame is to get an ICMP error.
    #[inline(always)]
    pub fn drop(&self, reason: Reason) -> i32 {
        Maps.count_drop(self.source, reason);
        if self.source == WIRE { DROP } else { self.fail(reason, Maps.port().mtu) }
    }

    /// Stores why the frame is dropped and the MTU that it exceeds, for the ICMP error; see [`failure`].
    #[inline(always)]
    pub fn fail(&self, reason: Reason, mtu: u32) -> i32 {
        self.skb.store_scratch([reason as u32, mtu]);
        ICMP_ERROR
    }

    /// A copy of the frame, out of the device `ifindex`.
    #[inline(always)]
    pub fn copy_to(&self, ifindex: IfIndex) -> bool {
        // SAFETY: a valid context; nothing reads the frame through an older view after this.
        unsafe { bpf_clone_redirect(self.skb.raw(), ifindex.0, 0) == 0 }
    }

    /// Queued for this hook again, behind the copies that were just made. The flood goes on at the slot `next`.
    #[inline(always)]
    pub fn requeue(&self, next: u32) -> i32 {
        self.skb.resume_at(next);
        redirect(self.skb.ifindex(), BPF_F_INGRESS as u64)
    }

    /// Dropped without being counted: only the copies were wanted.
    #[inline(always)]
    pub fn consume(&self) -> i32 {
        DROP
    }

    /// Whether the hook is netkit's, in the middle of the slave's sending.
    #[inline(always)]
    pub fn is_netkit(&self) -> bool {
        self.source != WIRE && self.skb.is_unreceived()
    }

    /// On to the host end's ingress, where `slave_xmit` delivers it to the slave in slot `to`, or with [`WIRE`] to the
    /// host's stack.
    #[inline(always)]
    pub fn defer(&self, to: Slot) -> i32 {
        self.skb.defer_to(to);
        HOST
    }
}

/// What [`PacketCtx::fail`] stored.
#[inline(always)]
pub fn failure(skb: &Skb) -> (Reason, u32) {
    let [reason, mtu] = skb.load_scratch();
    (Reason::from_number(reason), mtu)
}

/// Writes `bytes` into the frame.
#[inline(always)]
pub fn store<const N: usize>(skb: &Skb, at: usize, bytes: &[u8; N]) -> bool {
    // SAFETY: a valid context, and a buffer of N bytes.
    unsafe { bpf_skb_store_bytes(skb.raw(), at as u32, bytes.as_ptr().cast(), N as u32, 0) == 0 }
}

/// Out of the device `ifindex`; into its ingress with `BPF_F_INGRESS`.
#[inline(always)]
pub fn redirect(ifindex: IfIndex, flags: u64) -> i32 {
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect(ifindex.0, flags) as i32 }
}
