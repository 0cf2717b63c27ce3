//! What does the kernel's packet buffer say? `Frame` answered from it; the one pointer cast of the project.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_skb_pull_data};
use aya_ebpf::programs::TcContext;
use core::mem::MaybeUninit;
use ipvl_core::{Frame, Slot, Verdict};

/// The headers that nearly every decision reads: up to the options of a neighbour solicitation.
const HEAD: usize = 86;
const PACKET_HOST: u32 = 0;
const PACKET_LOOPBACK: u32 = 5;
/// Marks a flooded frame that queues up behind its first copies; the lower half is the next slot.
const RESUME: u32 = 0x4950_0000;
/// Marks what netkit's hook has decided on and the host end's ingress is to carry out; the lower half is the slot to
/// deliver to, or `WIRE` for the host's stack.
const HANDED_ON: u32 = 0x4951_0000;

/// What the words of the context's `cb` are for: the verdict takes two, and three come and go. The tally is one of these.
const VERDICT: usize = 0;
const SCRATCH: usize = 2;
const FAILURES: usize = 4;

pub struct Skb {
    pub context: TcContext,
}

impl Skb {
    /// Gets the headers into the linear part, where nearly always they are.
    #[inline(always)]
    pub fn pull(&self) {
        let head = (self.context.len() as usize).min(HEAD);
        if self.context.data() + head > self.context.data_end() {
            // SAFETY: a valid context; on failure the reads below find less.
            unsafe { bpf_skb_pull_data(self.raw(), head as u32) };
        }
    }

    #[inline(always)]
    pub fn raw(&self) -> *mut __sk_buff {
        self.context.skb.skb
    }

    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the verifier allows reading this field of the context.
        unsafe { (*self.raw()).ifindex }
    }

    #[inline(always)]
    pub fn pkt_type(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).pkt_type }
    }

    /// Where to go on with a flood; `None` for a frame that is here for the first time.
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

    /// Whether the hook is netkit's, in the midst of the slave's sending: nothing has received the frame yet.
    #[inline(always)]
    pub fn is_unreceived(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw()).ingress_ifindex == 0 }
    }

    #[inline(always)]
    pub fn handed_on_to(&self) -> Option<Slot> {
        // SAFETY: as above.
        let mark = unsafe { (*self.raw()).mark };
        (mark & 0xffff_0000 == HANDED_ON).then_some(Slot(mark & 0xffff))
    }

    #[inline(always)]
    pub fn hand_on_to(&self, slot: Slot) {
        self.context.skb.set_mark(HANDED_ON | slot.0);
    }

    #[inline(always)]
    pub fn clear_mark(&self) {
        self.context.skb.set_mark(0);
    }

    /// Shows the verdict to whoever runs the program by `BPF_PROG_TEST_RUN`.
    #[inline(always)]
    pub fn store_verdict(&self, verdict: Verdict) {
        for (place, word) in verdict.words().into_iter().enumerate() {
            self.write(VERDICT + place, word);
        }
    }

    /// The verdict that was shown.
    #[inline(always)]
    pub fn load_verdict(&self) -> Verdict {
        Verdict::from_words([self.read_word(VERDICT), self.read_word(VERDICT + 1)])
    }

    /// The same words, by way of the context: the verifier forgets all that it knew of them, and so walks what follows
    /// once and not once for each value.
    #[inline(always)]
    pub fn launder<const N: usize>(&self, mut words: [u32; N]) -> [u32; N] {
        for (place, word) in words.iter_mut().enumerate() {
            self.write(SCRATCH + place, *word);
            *word = self.read_word(SCRATCH + place);
        }
        words
    }

    /// Two words for later.
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

    /// A number to count with.
    #[inline(always)]
    pub fn failures(&self) -> u32 {
        self.read_word(FAILURES)
    }

    #[inline(always)]
    pub fn set_failures(&self, failures: u32) {
        self.write(FAILURES, failures);
    }

    /// One of the context's five words that are free for use, really read.
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

    /// The comparison is the same for all fields, so the compiler makes it once.
    #[inline(always)]
    fn head<const HEAD: usize, const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.context.data();
        if start + HEAD > self.context.data_end() || offset + N > HEAD {
            return None;
        }
        // SAFETY: the end was compared above, so that N bytes are there; of any alignment, see `words`.
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
    // SAFETY: the caller answers for it.
    bytes.copy_from_slice(&unsafe { *(start as *const u64) }.to_ne_bytes());
    bytes
}

/// Reads `N` bytes in the widest steps that the packet's usual alignment (`NET_IP_ALIGN`) suggests. Byte by byte, as
/// the compiler would have it, an address costs thirty instructions.
///
/// # Safety
/// `N` bytes at `start` must be there. They need no alignment: the target has no undefined behaviour for it, and where
/// the machine minds, the verifier refuses the program.
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
