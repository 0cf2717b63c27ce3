//! What are the reasons for drops called? For `ethtool -S`.

use ipvl_core::Reason;

/// Writes the name of a reason, with a zero behind it, to `out`; false if there is no such reason.
///
/// # Safety
/// `room` bytes are at `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipvl_reason_name(number: u32, out: *mut u8, room: usize) -> bool {
    let Some(reason) = Reason::ALL.get(number as usize) else { return false };
    // SAFETY: the caller's promise.
    let out = unsafe { core::slice::from_raw_parts_mut(out, room) };
    let name = reason.name().bytes().chain([0]);
    let written = out.iter_mut().zip(name).fold(0_u8, |_, (place, byte)| {
        *place = byte;
        byte
    });
    written == 0
}
