//! How is a verdict carried out?

use crate::flood::flood;
use crate::maps::Maps;
use crate::route::{self, Outcome};
use crate::skb::Skb;
use aya_ebpf::bindings::{BPF_F_INGRESS, TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::generated::*;
use ipvl_core::fastpath::FastVerdict;
use ipvl_core::wire::{ETH_DST, ETH_HLEN};
use ipvl_core::*;

/// Let whoever else is attached see the frame, and then the host's stack.
pub const HOST: i32 = TC_ACT_UNSPEC;
const DROP: i32 = TC_ACT_SHOT as i32;
/// Not an action: [`PacketCtx::finish`] is still to make a complaint of the frame.
const ICMP_ERROR: i32 = 0x100;
const PACKET_HOST: u32 = 0;
const PACKET_OTHERHOST: u32 = 3;

/// A frame at a hook.
pub struct PacketCtx<'a> {
    pub skb: &'a Skb,
    /// The slave that sent it, or the wire.
    pub source: Slot,
}

impl PacketCtx<'_> {
    /// For what was decided at a glance, which no frame is that resumes a flood; `None` if it is to be routed.
    #[inline(always)]
    pub fn act_at_once(&self, FastVerdict { verdict, to }: FastVerdict) -> Option<i32> {
        self.skb.store_verdict(verdict);
        let action = verdict.action();
        if matches!(action, Action::Route) {
            return None;
        }
        self.count_sent();
        Some(match action {
            Action::Deliver(slot) => self.deliver_to(slot, to),
            Action::Wire => self.wire(),
            // The fast path gives none of these but Host.
            Action::Host | Action::Route | Action::OnLink | Action::Flood(_) | Action::Answer | Action::Drop(_) => {
                self.host()
            }
        })
    }

    #[inline(always)]
    pub fn act(&self, verdict: Verdict) -> i32 {
        self.skb.store_verdict(verdict);
        // As shown: whatever it is, the verifier then looks at the rest once.
        let action = self.skb.load_verdict().action();
        // Whether a route is there, the table has yet to say.
        if !matches!(action, Action::Drop(_) | Action::Route) && self.skb.resumed_at().is_none() {
            self.count_sent();
        }
        match action {
            Action::Deliver(slot) => self.deliver(slot),
            Action::Flood(_) => flood(self),
            Action::Wire => self.wire(),
            Action::Route => self.route(),
            Action::OnLink => route::on_link(self),
            Action::Host => self.host(),
            Action::Answer => self.answer(),
            Action::Drop(reason) => self.drop(reason),
        }
    }

    #[inline(always)]
    pub fn count_sent(&self) {
        if self.source != WIRE {
            Maps.count_sent(self.source, self.skb.context.len());
        }
    }

    #[inline(always)]
    pub fn drop(&self, reason: Reason) -> i32 {
        Maps.count_drop(self.source, reason);
        if self.source == WIRE { DROP } else { self.icmp_error(reason, Maps.port().mtu) }
    }

    /// Keeps in mind what the packet's sender is to be told, for [`ICMP_ERROR`].
    #[inline(always)]
    fn icmp_error(&self, reason: Reason, mtu: u32) -> i32 {
        self.skb.store_scratch([reason as u32, mtu]);
        ICMP_ERROR
    }

    /// What is to become of the frame, if need be after it has become the ICMP error about itself, which goes back into the
    /// slave. In one place, or the verifier would look at it for each reason and each way here.
    #[inline(always)]
    pub fn finish(&self, action: i32) -> i32 {
        if action != ICMP_ERROR {
            return action;
        }
        if become_icmp_error_v4(self.skb) || become_icmp_error_v6(self.skb) {
            redirect(self.skb.ifindex(), 0)
        } else {
            DROP
        }
    }

    /// Out by the host's routing table, or what that wants instead.
    #[inline(always)]
    pub fn route(&self) -> i32 {
        match route::by_table(self) {
            Outcome::HOST => {
                self.count_sent();
                self.host()
            }
            outcome => match outcome.refusal() {
                Some((reason, mtu)) => {
                    Maps.count_drop(self.source, reason);
                    self.icmp_error(reason, mtu)
                }
                None => outcome.0 as i32,
            },
        }
    }

    #[inline(always)]
    fn deliver(&self, slot: Slot) -> i32 {
        self.deliver_to(slot, Maps.slave(slot))
    }

    /// What was decided on in netkit's hook: to a slave, or to the host's stack.
    #[inline(always)]
    pub fn take_over(&self, to: Slot) -> i32 {
        if to == WIRE {
            self.skb.clear_mark();
            return HOST;
        }
        self.deliver(to)
    }

    /// Past the slave's host end where that goes; else through it. In netkit's hook nothing has received the frame yet, and
    /// the kernel would drop it; by way of the ingress it is faster than through a host end.
    #[inline(always)]
    fn deliver_to(&self, slot: Slot, slave: Slave) -> i32 {
        if self.is_netkit() {
            return self.hand_on(slot);
        }
        self.skb.clear_mark();
        if self.skb.pkt_type() == PACKET_OTHERHOST {
            // SAFETY: a valid context.
            unsafe { bpf_skb_change_type(self.skb.raw(), PACKET_HOST) };
        }
        if slave.by_host_end() {
            address_to_slave(self.skb);
            return redirect(slave.host_end, 0);
        }
        Maps.count_delivered(slot, self.skb.context.len());
        // SAFETY: the helper takes numbers only.
        unsafe { bpf_redirect_peer(slave.host_end, 0) as i32 }
    }

    #[inline(always)]
    pub fn wire(&self) -> i32 {
        self.skb.clear_mark();
        redirect(Maps.port().master, 0)
    }

    /// Up the host's stack. What others marked on the wire side stays as it is; nothing of a slave's leaks.
    #[inline(always)]
    pub fn host(&self) -> i32 {
        if self.is_netkit() {
            return self.hand_on(WIRE);
        }
        if self.source != WIRE || self.skb.resumed_at().is_some() {
            self.skb.clear_mark();
        }
        HOST
    }

    #[inline(always)]
    fn is_netkit(&self) -> bool {
        self.source != WIRE && self.skb.is_unreceived()
    }

    /// To the host end's ingress, where this program carries it out.
    #[inline(always)]
    fn hand_on(&self, to: Slot) -> i32 {
        self.skb.hand_on_to(to);
        HOST
    }

    /// The frame becomes the answer to itself and goes back into the slave.
    #[inline(always)]
    fn answer(&self) -> i32 {
        if answer_arp(self.skb) || answer_neighbour(self.skb) {
            redirect(self.skb.ifindex(), 0)
        } else {
            self.drop(Reason::ActionFailed)
        }
    }

    /// A copy of the frame out of the device `ifindex`.
    #[inline(always)]
    pub fn copy_to(&self, ifindex: u32) -> bool {
        // SAFETY: a valid context; nobody reads the frame through an older view after this.
        unsafe { bpf_clone_redirect(self.skb.raw(), ifindex, 0) == 0 }
    }

    /// Once more through this hook, behind the copies that were just made.
    #[inline(always)]
    pub fn again(&self, next: u32) -> i32 {
        self.skb.resume_at(next);
        redirect(self.skb.ifindex(), BPF_F_INGRESS as u64)
    }

    /// Nowhere, without counting: the copies were all.
    #[inline(always)]
    pub fn consume(&self) -> i32 {
        DROP
    }
}

/// A bond's link may have received it by an address of its own, which a slave's device would not know.
#[inline(never)]
fn address_to_slave(skb: &Skb) {
    if let Some((port, _)) = Maps.port_and_router()
        && !port.has(PortEntry::IP_ONLY)
    {
        store(skb, ETH_DST, &port.mac.0);
    }
}

#[inline(never)]
fn answer_arp(skb: &Skb) -> bool {
    let reply = Maps.port_and_router().and_then(|(port, _)| Reply::to(skb, port.mac)?.arp());
    reply.is_some_and(|frame| become_frame(skb, &frame))
}

/// The message first: the question's addresses are needed for both, and are under the head.
#[inline(always)]
fn answer_neighbour(skb: &Skb) -> bool {
    // SAFETY: a valid context.
    let resized = unsafe { bpf_skb_change_tail(skb.raw(), ADVERTISEMENT_LEN as u32, 0) == 0 };
    resized && advertise_message(skb) && advertise_head(skb)
}

#[inline(never)]
fn advertise_message(skb: &Skb) -> bool {
    let reply = Maps.port_and_router().and_then(|(port, _)| Reply::to(skb, port.mac));
    reply.is_some_and(|reply| store(skb, ADVERTISEMENT_HEAD, &reply.advertisement_message()))
}

#[inline(never)]
fn advertise_head(skb: &Skb) -> bool {
    let reply = Maps.port_and_router().and_then(|(port, _)| Reply::to(skb, port.mac));
    reply.is_some_and(|reply| store(skb, 0, &reply.advertisement_head()))
}

#[inline(always)]
fn become_frame<const N: usize>(skb: &Skb, frame: &[u8; N]) -> bool {
    // SAFETY: a valid context.
    let resized = unsafe { bpf_skb_change_tail(skb.raw(), N as u32, 0) == 0 };
    resized && store(skb, 0, frame)
}

/// What [`PacketCtx::icmp_error`] kept in mind.
#[inline(always)]
fn scratch_error(skb: &Skb) -> (Reason, u32) {
    let [reason, mtu] = skb.load_scratch();
    (Reason::from_number(reason), mtu)
}

#[inline(never)]
fn become_icmp_error_v4(skb: &Skb) -> bool {
    let (reason, mtu) = scratch_error(skb);
    let head = Maps.port_and_router().and_then(|(port, router)| icmp_error_v4(skb, reason, mtu, port.mac, router));
    head.is_some_and(|head| quote_behind(skb, &head, QUOTE_4))
}

#[inline(never)]
fn become_icmp_error_v6(skb: &Skb) -> bool {
    let (reason, mtu) = scratch_error(skb);
    let head = Maps.port_and_router().and_then(|(port, router)| icmp_error_v6(skb, reason, mtu, port.mac, router));
    head.is_some_and(|head| quote_behind(skb, &head, QUOTE_6))
}

/// Leaves `quoted` bytes of the packet, and puts `head` in the place of the Ethernet header before it.
#[inline(always)]
fn quote_behind<const N: usize>(skb: &Skb, head: &[u8; N], quoted: usize) -> bool {
    // SAFETY: a valid context.
    let resized = unsafe {
        bpf_skb_change_tail(skb.raw(), (ETH_HLEN + quoted) as u32, 0) == 0
            && bpf_skb_change_head(skb.raw(), (N - ETH_HLEN) as u32, 0) == 0
    };
    resized && store(skb, 0, head)
}

#[inline(always)]
pub fn store<const N: usize>(skb: &Skb, at: usize, bytes: &[u8; N]) -> bool {
    // SAFETY: a valid context, and a buffer of N bytes.
    unsafe { bpf_skb_store_bytes(skb.raw(), at as u32, bytes.as_ptr().cast(), N as u32, 0) == 0 }
}

#[inline(always)]
pub fn redirect(ifindex: u32, flags: u64) -> i32 {
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect(ifindex, flags) as i32 }
}
