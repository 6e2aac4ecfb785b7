//! Reads an ELF file, without loading or running it.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use object::read::elf::ElfFile64;
use object::{Architecture, Endianness, Object, ObjectSection, ObjectSymbol};

use crate::machine::Machine;
use crate::read::read;
use crate::refusal::Refusal;

/// A program or a shared object.
pub struct Elf {
    path: PathBuf,
    bytes: Vec<u8>,
    machine: Machine,
}

impl Elf {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        Self::parse(path, read(path)?)
    }

    /// Parses the bytes read from `path`.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, Refusal> {
        let bad = |reason| Refusal::BadFile { file: path.into(), reason };
        let machine = Machine::of(&bytes).ok_or_else(|| bad("this is not an ELF file"))?;
        let elf = Self { path: path.into(), bytes, machine };
        match elf.parsed() {
            Some(_) => Ok(elf),
            None if machine.is_of_64_bits() => Err(bad("this ELF file is damaged")),
            None => Err(Refusal::OtherMachine { file: path.into(), found: machine, ours: Machine::HERE }),
        }
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The kind of machine it is for.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Whether it is one of our modules: those have an ELF note (see `asterisk::module`).
    pub fn is_ours(&self) -> bool {
        self.section(OURS).is_some()
    }

    /// The names of the symbols that it exports.
    pub fn exports(&self) -> HashSet<String> {
        self.dynamic(|symbol| symbol.is_definition())
    }

    /// The names of the symbols that it requires from others, without the weak ones.
    pub fn imports(&self) -> HashSet<String> {
        self.dynamic(|symbol| symbol.is_undefined() && !symbol.is_weak())
    }

    /// The strings in its constants, split at NUL bytes.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let constants = self.section(".rodata").unwrap_or_default();
        constants.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok())
    }

    /// The string returned by a function that does nothing else. `None` if the function does not begin like that.
    pub fn text_returned_by(&self, function: &str) -> Option<&str> {
        let file = self.parsed()?;
        let address = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(function))?.address();
        let code = self.at(address)?;
        let text = match file.architecture() {
            Architecture::Aarch64 => address_returned_by_aarch64(code, address),
            _ => address_returned(code, address),
        }?;
        let text = self.at(text)?;
        std::str::from_utf8(&text[..text.iter().position(|byte| *byte == 0)?]).ok()
    }

    fn dynamic(&self, wanted: impl Fn(&object::read::elf::ElfSymbol64<'_, '_, Endianness>) -> bool) -> HashSet<String> {
        let Some(file) = self.parsed() else { return HashSet::new() };
        let symbols = file.dynamic_symbols().filter(|symbol| wanted(symbol));
        symbols.filter_map(|symbol| Some(symbol.name().ok()?.to_owned())).collect()
    }

    fn section(&self, name: &str) -> Option<&[u8]> {
        self.parsed()?.section_by_name(name)?.data().ok()
    }

    /// The bytes loaded at this address and after it.
    fn at(&self, address: u64) -> Option<&[u8]> {
        let file = self.parsed()?;
        file.sections().find_map(|section| {
            let offset = address.checked_sub(section.address()).filter(|_| section.address() != 0)?;
            section.data().ok()?.get(usize::try_from(offset).ok()?..).filter(|rest| !rest.is_empty())
        })
    }

    fn parsed(&self) -> Option<ElfFile64<'_, Endianness>> {
        ElfFile64::parse(self.bytes.as_slice()).ok()
    }
}

/// Prints the path only, not the bytes.
impl fmt::Debug for Elf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// The section of the note in our modules.
const OURS: &str = ".note.webrtc-modules";

/// The address returned by x86-64 code, after the usual prologue: `lea rax, [rip + x]`, or `mov eax, x` in a program
/// with a fixed address.
fn address_returned(code: &[u8], address: u64) -> Option<u64> {
    let mut at = 0;
    for first in [&[0xf3, 0x0f, 0x1e, 0xfa][..], &[0x55], &[0x48, 0x89, 0xe5]] {
        at += if code[at..].starts_with(first) { first.len() } else { 0 };
    }
    match code.get(at..)? {
        [0x48, 0x8d, 0x05, distance @ ..] => {
            let distance = i32::from_le_bytes(*distance.first_chunk()?);
            (address + at as u64 + 7).checked_add_signed(distance.into())
        }
        [0xb8, place @ ..] => Some(u32::from_le_bytes(*place.first_chunk()?).into()),
        _ => None,
    }
}

/// The address returned by AArch64 code: `adrp x0, page; add x0, x0, #x; ret`, or `adr x0, x; ret` in a small program;
/// possibly after a landing pad, or after an `adrp` that the linker has replaced.
fn address_returned_by_aarch64(code: &[u8], address: u64) -> Option<u64> {
    let mut words = code.as_chunks().0.iter().copied().map(u32::from_le_bytes).zip((address..).step_by(4));
    let (word, at) = words.find(|(word, _)| ![BTI_C, NOP].contains(word))?;
    // The distance has 21 bits: the upper ones from bit 5 on, the two lowest at bit 29.
    let distance = i64::from((word << 8) as i32 >> 11 & !3 | (word >> 29 & 3) as i32);
    let (address, end) = match word & 0x9f00_001f {
        0x1000_0000 => (at.checked_add_signed(distance)?, words.next()?.0),
        0x9000_0000 => {
            let (add, _) = words.next()?;
            let offset = u64::from(add >> 10 & 0xfff);
            let page = (at & !0xfff).checked_add_signed(distance << 12)?;
            ((add & 0xffc0_03ff == 0x9100_0000).then_some(page + offset)?, words.next()?.0)
        }
        _ => return None,
    };
    (end == 0xd65f_03c0).then_some(address)
}

const BTI_C: u32 = 0xd503_245f;
const NOP: u32 = 0xd503_201f;

#[cfg(test)]
mod tests {
    use super::*;

    /// Code as clang 21 compiles `const char *ast_get_version(void) { return "11.25.3"; }`.
    #[test]
    fn the_address_is_found_as_aarch64_finds_it() {
        let returned = |words: &[u32], address| {
            let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            address_returned_by_aarch64(&code, address)
        };
        let (address, text) = (0x101_0698, Some(0x100_059c));
        assert_eq!(returned(&[0xd503_201f, 0x10f7_f800, 0xd65f_03c0], address), text);
        assert_eq!(returned(&[0xd503_245f, 0xd503_201f, 0x10f7_f7e0, 0xd65f_03c0], address), text);
        assert_eq!(returned(&[0x10f7_f820, 0xd65f_03c0], address), text);
        assert_eq!(returned(&[0x90ff_ff80, 0x9116_7000, 0xd65f_03c0], address), text, "as GNU ld leaves it");
        assert_eq!(returned(&[0x90ff_ff80, 0x9116_7000, 0x5280_0620], address), None, "it goes on");
        assert_eq!(returned(&[0xa9bc_7bfd], address), None);
        assert_eq!(returned(&[], address), None);
    }
}
