//! What does the kernel's packet buffer (`__sk_buff`) say? `Frame` for it, with the casts from addresses to pointers.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_skb_pull_data};
use aya_ebpf::programs::TcContext;
use core::mem::MaybeUninit;
use ipvl_core::{Frame, IfIndex, Slot, Verdict};

/// Length of the headers that nearly every decision reads: up to the option of a neighbour solicitation.
const HEAD: usize = 86;
const PACKET_HOST: u32 = 0;
const PACKET_LOOPBACK: u32 = 5;
/// In the upper half of the mark: a flooded frame that was queued behind its first copies. The lower half is the next slot.
const RESUME: u32 = 0x4950_0000;
/// In the upper half of the mark: a frame that netkit's hook has deferred to the host end's ingress. The lower half is the
/// slot to deliver it to, or `WIRE` for the host's stack.
const DEFERRED: u32 = 0x4951_0000;

/// The use of the five words of `cb`: two for the verdict, three for scratch, of which the last also counts failures.
const VERDICT: usize = 0;
const SCRATCH: usize = 2;
const FAILURES: usize = 4;

pub struct Skb {
    pub context: TcContext,
}

impl Skb {
    /// Gets the headers into the linear part of the buffer, where they nearly always are.
    #[inline(always)]
    pub fn pull(&self) {
        let head = (self.context.len() as usize).min(HEAD);
        if self.context.data() + head > self.context.data_end() {
            // SAFETY: a valid context; on failure reads find fewer bytes.
            unsafe { bpf_skb_pull_data(self.raw(), head as u32) };
        }
    }

    #[inline(always)]
    pub fn raw(&self) -> *mut __sk_buff {
        self.context.skb.skb
    }

    #[inline(always)]
    pub fn ifindex(&self) -> IfIndex {
        // SAFETY: the verifier allows reading this field of the context.
        IfIndex(unsafe { (*self.raw()).ifindex })
    }

    #[inline(always)]
    pub fn pkt_type(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).pkt_type }
    }

    /// The bytes that it has on the wire, all segments of a GSO packet together.
    #[inline(always)]
    pub fn wire_bytes(&self) -> u32 {
        // SAFETY: as above.
        ipvl_core::wire_bytes(self.context.len(), unsafe { (*self.raw()).gso_segs })
    }

    /// The slot at which a flood goes on; `None` for a frame that is here for the first time.
    #[inline(always)]
    pub fn resumed_at(&self) -> Option<u32> {
        // SAFETY: as above.
        let mark = unsafe { (*self.raw()).mark };
        (mark & 0xffff_0000 == RESUME).then_some(mark & 0xffff)
    }

    #[inline(always)]
    pub fn resume_at(&self, slot: u32) {
        self.context.skb.set_mark(RESUME | slot);
    }

    /// Whether no device has received the frame yet: the hook is netkit's, in the middle of the slave's sending.
    #[inline(always)]
    pub fn is_unreceived(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw()).ingress_ifindex == 0 }
    }

    /// Where netkit's hook has deferred the frame to, see [`Skb::defer_to`].
    #[inline(always)]
    pub fn deferred_to(&self) -> Option<Slot> {
        // SAFETY: as above.
        let mark = unsafe { (*self.raw()).mark };
        (mark & 0xffff_0000 == DEFERRED).then_some(Slot(mark & 0xffff))
    }

    /// Marks the frame for `slot`, or for the host's stack with `WIRE`.
    #[inline(always)]
    pub fn defer_to(&self, slot: Slot) {
        self.context.skb.set_mark(DEFERRED | slot.0);
    }

    #[inline(always)]
    pub fn clear_mark(&self) {
        self.context.skb.set_mark(0);
    }

    /// Stores the verdict, for later steps and for tests that run the program by `BPF_PROG_TEST_RUN`.
    #[inline(always)]
    pub fn store_verdict(&self, verdict: Verdict) {
        for (place, word) in verdict.words().into_iter().enumerate() {
            self.write(VERDICT + place, word);
        }
    }

    /// The verdict that was stored.
    #[inline(always)]
    pub fn load_verdict(&self) -> Verdict {
        Verdict::from_words([self.read_word(VERDICT), self.read_word(VERDICT + 1)])
    }

    /// The same words, written to the context and read back. The verifier then knows nothing about their values, and checks
    /// what follows once instead of once for each value.
    #[inline(always)]
    pub fn launder<const N: usize>(&self, mut words: [u32; N]) -> [u32; N] {
        for (place, word) in words.iter_mut().enumerate() {
            self.write(SCRATCH + place, *word);
            *word = self.read_word(SCRATCH + place);
        }
        words
    }

    /// As [`Skb::launder`], for one word, when copies are no longer counted; what [`Skb::store_scratch`] stored stays.
    #[inline(always)]
    pub fn forget_last(&self, word: u32) -> u32 {
        self.write(FAILURES, word);
        self.read_word(FAILURES)
    }

    /// The same for an action.
    #[inline(always)]
    pub fn forget_action(&self, action: i32) -> i32 {
        self.forget_last(action.cast_unsigned()).cast_signed()
    }

    /// As [`Skb::launder`], for one word.
    #[inline(always)]
    pub fn forget_word(&self, word: u32) -> u32 {
        let [word] = self.launder([word]);
        word
    }

    /// The same for a verdict: a function that takes one is checked once, and not for each way to a verdict.
    #[inline(always)]
    pub fn launder_verdict(&self, verdict: Verdict) -> Verdict {
        Verdict::from_words(self.launder(verdict.words()))
    }

    /// Stores two words for a later step.
    #[inline(always)]
    pub fn store_scratch(&self, words: [u32; 2]) {
        for (place, word) in words.into_iter().enumerate() {
            self.write(SCRATCH + place, word);
        }
    }

    #[inline(always)]
    pub fn load_scratch(&self) -> [u32; 2] {
        [self.read_word(SCRATCH), self.read_word(SCRATCH + 1)]
    }

    /// The number of copies of a flood that failed.
    #[inline(always)]
    pub fn failures(&self) -> u32 {
        self.read_word(FAILURES)
    }

    #[inline(always)]
    pub fn set_failures(&self, failures: u32) {
        self.write(FAILURES, failures);
    }

    /// One word of `cb`. The read is volatile, so that the compiler does not reuse what it wrote there.
    #[inline(always)]
    fn read_word(&self, place: usize) -> u32 {
        // SAFETY: the verifier allows reading this field of the context.
        unsafe { (&raw const (*self.raw()).cb).cast::<u32>().add(place).read_volatile() }
    }

    #[inline(always)]
    fn write(&self, place: usize, word: u32) {
        // SAFETY: the verifier allows writing this field of the context.
        unsafe { (&raw mut (*self.raw()).cb).cast::<u32>().add(place).write_volatile(word) }
    }
}

impl Frame for Skb {
    #[inline(always)]
    fn len(&self) -> usize {
        self.context.len() as usize
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset + N > HEAD {
            return self.read_at(offset);
        }
        let start = self.context.data() + offset;
        if start + N > self.context.data_end() {
            return None;
        }
        // SAFETY: the end was compared above, so that N bytes are there.
        Some(unsafe { words(start) })
    }

    /// The comparison is the same for all fields of a header, so the compiler keeps one of them.
    #[inline(always)]
    fn head<const HEAD: usize, const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.context.data();
        if start + HEAD > self.context.data_end() || offset + N > HEAD {
            return None;
        }
        // SAFETY: the end was compared above, so that N bytes are there; they need no alignment, see `words`.
        Some(unsafe { if N == 8 { eight(start + offset) } else { words(start + offset) } })
    }

    #[inline(always)]
    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the buffer has room for N bytes, and the helper fills all of them or fails.
        unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            let result = bpf_skb_load_bytes(self.context.as_ptr().cast(), offset as u32, buffer, N as u32);
            (result == 0).then(|| bytes.assume_init())
        }
    }

    #[inline(always)]
    fn forget(&self, offset: usize) -> usize {
        let [offset] = self.launder([offset as u32]);
        offset as usize
    }

    #[inline(always)]
    fn vlan(&self) -> Option<u16> {
        // SAFETY: the verifier allows reading these fields of the context.
        unsafe { ((*self.raw()).vlan_present != 0).then(|| (*self.raw()).vlan_tci as u16 & 0x0fff) }
    }

    #[inline(always)]
    fn is_gso(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw()).gso_size != 0 }
    }

    #[inline(always)]
    fn is_to_us(&self) -> bool {
        self.pkt_type() == PACKET_HOST
    }

    #[inline(always)]
    fn is_loopback(&self) -> bool {
        self.pkt_type() == PACKET_LOOPBACK
    }
}

/// Reads eight bytes at once.
///
/// # Safety
/// As for [`words`]; `N` is 8.
#[inline(always)]
unsafe fn eight<const N: usize>(start: usize) -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: the caller's promise.
    bytes.copy_from_slice(&unsafe { *(start as *const u64) }.to_ne_bytes());
    bytes
}

/// Reads `N` bytes four at a time, then two, then one. The compiler would read byte by byte, which takes thirty
/// instructions for an IPv6 address.
///
/// # Safety
/// `N` bytes at `start` must be there. They need no alignment: the BPF target allows unaligned loads, and on machines
/// without them the verifier refuses the program.
#[inline(always)]
unsafe fn words<const N: usize>(start: usize) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at + 4 <= N {
        // SAFETY: inside the N bytes.
        let word = unsafe { *((start + at) as *const u32) };
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        at += 4;
    }
    while at + 2 <= N {
        // SAFETY: as above.
        let word = unsafe { *((start + at) as *const u16) };
        bytes[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        at += 2;
    }
    if at < N {
        // SAFETY: as above.
        bytes[at] = unsafe { *((start + at) as *const u8) };
    }
    bytes
}
