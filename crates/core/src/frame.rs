//! What may a decision ask about a frame?

/// The bytes of a frame, and what the kernel knows about it besides.
pub trait Frame {
    /// Length in bytes, link-layer header included; of a GSO packet, the length of the whole.
    fn len(&self) -> usize;

    /// The `N` bytes at `offset`; `None` if the frame ends before.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// As [`Frame::read`]; `None` also if the frame has fewer than `HEAD` bytes. However many fields of a header are read
    /// with the same `HEAD`, the eBPF program compares the length once.
    #[inline(always)]
    fn head<const HEAD: usize, const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if self.len() < HEAD { None } else { self.read(offset) }
    }

    /// As [`Frame::read`], at an offset that was computed from the frame's own bytes. In eBPF this is slower: the verifier
    /// cannot bound such an offset, so a helper copies the bytes.
    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The same offset. In eBPF the verifier knows nothing of the result, so that it checks a loop over offsets once for each
    /// turn, and not once for each path through the turns before.
    #[inline(always)]
    fn forget(&self, offset: usize) -> usize {
        offset
    }

    /// The VLAN id in the frame's metadata, where the kernel keeps the outer 802.1Q or 802.1ad tag.
    fn vlan(&self) -> Option<u16>;

    /// Whether the frame stands for several segments (GSO), so that its length is not that of a packet.
    fn is_gso(&self) -> bool;

    /// Whether the receiving device took the frame for its own (`PACKET_HOST`): it is to the device's own MAC address,
    /// which on a link of a bond may differ from the bond's.
    fn is_to_us(&self) -> bool;

    /// Whether it is the host's own multicast, looped back to the host (`PACKET_LOOPBACK`).
    fn is_loopback(&self) -> bool;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes alone: one untagged packet, which no device has received.
impl Frame for &[u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }

    fn vlan(&self) -> Option<u16> {
        None
    }

    fn is_gso(&self) -> bool {
        false
    }

    fn is_to_us(&self) -> bool {
        false
    }

    fn is_loopback(&self) -> bool {
        false
    }
}
