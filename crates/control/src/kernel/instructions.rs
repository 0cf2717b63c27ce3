//! How are the few programs written that are made when they are needed? As the kernel's instructions (`struct bpf_insn`).

use super::bpf::raw;
use std::os::fd::AsFd;

/// One instruction, or half of one that has a 64-bit number.
pub type Instruction = [u8; 8];

/// The register that points to the end of the stack.
pub const FP: u8 = 10;
/// `bpf_map_lookup_elem`.
pub const MAP_LOOKUP_ELEM: i32 = 1;
/// What [`leave_if_zero`] has until [`program`] knows where the end is.
const TO_THE_END: i16 = i16::MAX;

/// The program of these parts, which ends with this result.
pub fn program(parts: &[&[Instruction]], result: i32) -> Vec<Instruction> {
    let mut whole = parts.concat();
    let end = whole.len();
    for (at, instruction) in whole.iter_mut().enumerate() {
        if instruction[2..4] == TO_THE_END.to_ne_bytes() {
            instruction[2..4].copy_from_slice(&((end - at - 1) as i16).to_ne_bytes());
        }
    }
    whole.extend([set(0, result), exit()]);
    whole
}

/// Does a part once with each number below `end` in a register.
pub fn for_each_below(end: i32, register: u8, part: &[Instruction]) -> Vec<Instruction> {
    let back = -(part.len() as i16) - 2;
    [&[set(register, 0)], part, &[add(register, 1), instruction(0xa5, register, back, end)]].concat()
}

/// Register `to` becomes a copy of register `from`.
pub fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbf, from << 4 | to, 0, 0)
}

/// A register becomes a number.
pub fn set(register: u8, number: i32) -> Instruction {
    instruction(0xb7, register, 0, number)
}

/// Adds a number to a register.
pub fn add(register: u8, number: i32) -> Instruction {
    instruction(0x07, register, 0, number)
}

/// Register 0 becomes the 16 bits, in network order, at a place of the packet that register 6 stands for.
pub fn load_packet_half(offset: i32) -> Instruction {
    instruction(0x28, 0, 0, offset)
}

/// Writes 32 bits of register `from` to where register `to` points, `offset` bytes further on.
pub fn store_word(to: u8, offset: i16, from: u8) -> Instruction {
    instruction(0x63, from << 4 | to, offset, 0)
}

/// Adds register `from` to the 64 bits that register `to` points to, in one step.
pub fn add_atomically(to: u8, from: u8) -> Instruction {
    instruction(0xdb, from << 4 | to, 0, 0)
}

/// A register becomes a pointer to a map.
pub fn map(register: u8, map: &impl AsFd) -> [Instruction; 2] {
    const PSEUDO_MAP_FD: u8 = 1;
    [instruction(0x18, PSEUDO_MAP_FD << 4 | register, 0, raw(map).cast_signed()), [0; 8]]
}

/// Goes to the end if a register is zero.
pub fn leave_if_zero(register: u8) -> Instruction {
    instruction(0x15, register, TO_THE_END, 0)
}

/// Goes to the end unless a register has this number.
pub fn leave_unless(register: u8, number: i32) -> Instruction {
    instruction(0x55, register, TO_THE_END, number)
}

/// Calls a helper of the kernel.
pub fn call(helper: i32) -> Instruction {
    instruction(0x85, 0, 0, helper)
}

/// Ends the program.
pub fn exit() -> Instruction {
    instruction(0x95, 0, 0, 0)
}

/// Any instruction.
pub fn instruction(code: u8, registers: u8, offset: i16, number: i32) -> Instruction {
    let ([o, p], [a, b, c, d]) = (offset.to_ne_bytes(), number.to_ne_bytes());
    [code, registers, o, p, a, b, c, d]
}
