//! The kind of machine that an ELF file is for.

use std::fmt;

use object::elf;

/// Word size, byte order and instruction set, from the beginning of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    class: u8,
    order: u8,
    instructions: u16,
}

impl Machine {
    /// The machine that this program, and so our modules, are for.
    pub const HERE: Self = Self {
        class: elf::ELFCLASS64,
        order: elf::ELFDATA2LSB,
        instructions: if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 },
    };

    /// The machine that a file with these bytes is for; `None` if it is not an ELF file.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<20>().filter(|header| header.starts_with(&elf::ELFMAG))?;
        let (class, order, instructions) = (header[4], header[5], [header[18], header[19]]);
        let instructions = match order {
            elf::ELFDATA2LSB => u16::from_le_bytes(instructions),
            elf::ELFDATA2MSB => u16::from_be_bytes(instructions),
            _ => return None,
        };
        Some(Self { class, order, instructions })
    }

    /// Whether it is a 64-bit machine; we parse only files for those.
    pub fn is_of_64_bits(self) -> bool {
        self.class == elf::ELFCLASS64
    }
}

/// Writes a name such as `32-bit x86`.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instructions = match self.instructions {
            elf::EM_386 | elf::EM_X86_64 => "x86",
            elf::EM_ARM | elf::EM_AARCH64 => "ARM",
            elf::EM_MIPS => "MIPS",
            elf::EM_PPC | elf::EM_PPC64 => "POWER",
            elf::EM_RISCV => "RISC-V",
            elf::EM_S390 => "IBM Z",
            elf::EM_SPARC | elf::EM_SPARC32PLUS | elf::EM_SPARCV9 => "SPARC",
            _ => "",
        };
        let bits = if self.is_of_64_bits() { 64 } else { 32 };
        if instructions.is_empty() {
            write!(f, "{bits}-bit machines with ELF number {}", self.instructions)
        } else {
            write!(f, "{bits}-bit {instructions}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_names() {
        let header = |class, order, instructions: [u8; 2]| {
            let mut header = [0; 20];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
            header[18..].copy_from_slice(&instructions);
            Machine::of(&header).map(|machine| machine.to_string())
        };
        assert_eq!(header(1, 1, [3, 0]).as_deref(), Some("32-bit x86"));
        assert_eq!(header(2, 1, [62, 0]).as_deref(), Some("64-bit x86"));
        assert_eq!(header(2, 2, [0, 21]).as_deref(), Some("64-bit POWER"));
        assert_eq!(header(1, 1, [40, 0]).as_deref(), Some("32-bit ARM"));
        assert_eq!(header(2, 3, [62, 0]), None);
        assert_eq!(Machine::of(b"#!/bin/sh\n"), None);
    }
}
