//! How is a verdict carried out?

use crate::ctx::{DROP, HOST, ICMP_ERROR, PacketCtx, redirect};
use crate::flood::flood;
use crate::maps::Maps;
use crate::rewrite;
use crate::route::{self, RouteOutcome};
use aya_ebpf::helpers::generated::{bpf_redirect_peer, bpf_skb_change_type};
use ipvl_core::fastpath::FastVerdict;
use ipvl_core::*;

const PACKET_HOST: u32 = 0;
const PACKET_OTHERHOST: u32 = 3;

impl PacketCtx<'_> {
    /// Carries out a verdict of the fast path; `None` if the packet is to be routed. The fast path never sees a frame that
    /// resumes a flood.
    #[inline(always)]
    pub fn act_fast(&self, FastVerdict { verdict, to }: FastVerdict) -> Option<i32> {
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

    /// Carries out a verdict. The caller passes the result to [`PacketCtx::finish`], for a frame of a slave.
    #[inline(always)]
    pub fn act(&self, verdict: Verdict) -> i32 {
        self.skb.store_verdict(verdict);
        // Loaded again, so that the verifier knows nothing of the verdict and checks what follows once.
        let action = self.skb.load_verdict().action();
        // A routed packet is counted when the routing table has a route for it.
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

    /// Turns [`ICMP_ERROR`] into a TC action: the frame becomes the ICMP error about itself and goes back into the slave, or
    /// is dropped. All paths meet here, or the verifier would check this for each reason and each path.
    #[inline(always)]
    pub fn finish(&self, action: i32) -> i32 {
        if action != ICMP_ERROR {
            return action;
        }
        if rewrite::become_icmp_error_v4(self.skb) || rewrite::become_icmp_error_v6(self.skb) {
            redirect(self.skb.ifindex(), 0)
        } else {
            DROP
        }
    }

    /// Out by the host's routing table, or what follows from its answer instead.
    #[inline(always)]
    pub fn route(&self) -> i32 {
        match route::by_table(self) {
            RouteOutcome::HOST => {
                self.count_sent();
                self.host()
            }
            outcome => match outcome.refusal() {
                Some((reason, mtu)) => {
                    Maps.count_drop(self.source, reason);
                    self.fail(reason, mtu)
                }
                None => outcome.0 as i32,
            },
        }
    }

    /// At the host end's ingress: carries out what was decided in netkit's hook, see [`PacketCtx::defer`].
    #[inline(always)]
    pub fn act_deferred(&self, to: Slot) -> i32 {
        if to == WIRE {
            self.skb.clear_mark();
            return HOST;
        }
        self.deliver(to)
    }

    #[inline(always)]
    fn deliver(&self, slot: Slot) -> i32 {
        self.deliver_to(slot, Maps.slave(slot))
    }

    /// Past the slave's host end where `bpf_redirect_peer` can be used, else through the host end. In netkit's hook it
    /// cannot: no device has received the frame yet, and the kernel would drop it. There the host end's ingress is faster
    /// than the other slave's host end.
    #[inline(always)]
    fn deliver_to(&self, slot: Slot, slave: Slave) -> i32 {
        if self.is_netkit() {
            return self.defer(slot);
        }
        self.skb.clear_mark();
        if self.skb.pkt_type() == PACKET_OTHERHOST {
            // SAFETY: a valid context.
            unsafe { bpf_skb_change_type(self.skb.raw(), PACKET_HOST) };
        }
        if slave.by_host_end() {
            rewrite::address_to_slave(self.skb);
            return redirect(slave.host_end, 0);
        }
        Maps.count_delivered(slot, self.skb.context.len());
        // SAFETY: the helper takes numbers only.
        unsafe { bpf_redirect_peer(slave.host_end.0, 0) as i32 }
    }

    /// The frame becomes the reply to itself and goes back to where it came from.
    #[inline(always)]
    fn answer(&self) -> i32 {
        if rewrite::become_arp_reply(self.skb) || rewrite::become_advertisement(self.skb) {
            redirect(self.skb.ifindex(), 0)
        } else {
            self.drop(Reason::ActionFailed)
        }
    }
}
