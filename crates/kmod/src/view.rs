//! What does an sk_buff say? `Frame` for the part of it that C shows.

use core::ffi::c_void;
use ipvl_core::Frame;

/// `struct ipvl_view` in C.
#[repr(C)]
pub struct View {
    head: *const u8,
    linear: u32,
    len: u32,
    skb: *const c_void,
    tci: u16,
    flags: u8,
    pkt_type: u8,
}

const TAGGED: u8 = 1;
const GSO: u8 = 2;
/// `VLAN_VID_MASK`.
const VID: u16 = 0xfff;
const PACKET_HOST: u8 = 0;
const PACKET_LOOPBACK: u8 = 5;

unsafe extern "C" {
    /// Copies bytes that may lie in pages (`skb_copy_bits`); 0 if all are there.
    fn ipvl_c_read(view: *const View, offset: u32, to: *mut u8, len: u32) -> i32;
}

impl View {
    /// Writes bytes at an offset, if there is as much.
    ///
    /// # Safety
    /// The frame is writable and in one piece.
    pub unsafe fn write<const N: usize>(&self, offset: usize, bytes: &[u8; N]) {
        if offset + N <= self.linear as usize {
            // SAFETY: C says that `linear` bytes lie at `head`, and the caller that they may be written.
            unsafe { self.head.add(offset).cast_mut().cast::<[u8; N]>().write(*bytes) };
        }
    }

    /// The `N` bytes at an offset.
    ///
    /// # Safety
    /// They are among the `linear` ones.
    #[inline(always)]
    unsafe fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        // SAFETY: C says that `linear` bytes lie at `head`; bytes need no alignment.
        unsafe { self.head.add(offset).cast::<[u8; N]>().read() }
    }

    #[cold]
    #[inline(never)]
    fn paged(&self, offset: usize, to: &mut [u8]) -> bool {
        // SAFETY: C made the view of a live skb and checks the offset against its length.
        unsafe { ipvl_c_read(self, offset as u32, to.as_mut_ptr(), to.len() as u32) == 0 }
    }

    #[cold]
    #[inline(never)]
    fn split_head<const HEAD: usize, const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if self.len() < HEAD { None } else { self.read(offset) }
    }
}

impl Frame for View {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset + N <= self.linear as usize {
            // SAFETY: just looked.
            return Some(unsafe { self.bytes(offset) });
        }
        let mut bytes = [0; N];
        (offset + N <= self.len() && self.paged(offset, &mut bytes)).then_some(bytes)
    }

    /// Whether a header lies in one piece is asked once for all of its fields.
    #[inline(always)]
    fn head<const HEAD: usize, const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if HEAD <= self.linear as usize && offset + N <= HEAD {
            // SAFETY: just looked.
            return Some(unsafe { self.bytes(offset) });
        }
        self.split_head::<HEAD, N>(offset)
    }

    #[inline(always)]
    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }

    #[inline(always)]
    fn vlan(&self) -> Option<u16> {
        (self.flags & TAGGED != 0).then_some(self.tci & VID)
    }

    #[inline(always)]
    fn is_gso(&self) -> bool {
        self.flags & GSO != 0
    }

    #[inline(always)]
    fn is_to_us(&self) -> bool {
        self.pkt_type == PACKET_HOST
    }

    #[inline(always)]
    fn is_loopback(&self) -> bool {
        self.pkt_type == PACKET_LOOPBACK
    }
}
