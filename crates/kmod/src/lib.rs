//! What can the C half of the kernel module ask for? Each function here has a prototype in `kmod/ipvl.h`.
//!
//! C reads the kernel's structures and acts on them; every decision is `ipvl_core`'s. The object calls back only what
//! `memory` and `view` declare, and can panic nowhere: `ipvl_c_bug` must not be linked, which `scripts/kmod-check`
//! checks.
//!
//! Modules, from the top: `datapath`, `dhcp`, `changes`, `declare`, `options`, `words`; `tables`; `prefixes`; `addresses`, `slots`,
//! `sent`, `askers`; `declared`; `view`, `memory`.
#![no_std]

mod addresses;
mod askers;
mod changes;
mod datapath;
mod declare;
mod declared;
mod dhcp;
mod memory;
mod options;
mod prefixes;
mod sent;
mod slots;
mod tables;
mod view;
mod words;

/// The linker finds this only if a panic is left in the object.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        safe fn ipvl_c_bug() -> !;
    }
    ipvl_c_bug()
}
