//! The build options of a host (`menuselect`'s "Compiler Flags").

use std::collections::HashSet;

use crate::elf::Elf;

/// Options that change nothing that our files rely on.
const HARMLESS: &[&str] = &[
    "ADDRESS_SANITIZER",
    "AO2_DEBUG",
    "BETTER_BACKTRACES",
    "BUILD_NATIVE",
    "BUSYDETECT_COMPARE_TONE_AND_SILENCE",
    "BUSYDETECT_DEBUG",
    "BUSYDETECT_TONEONLY",
    "CHANNEL_TRACE",
    "COMPILE_DOUBLE",
    "DEBUG_CHAOS",
    "DEBUG_FD_LEAKS",
    "DEBUG_SCHEDULER",
    "DEBUG_THREADLOCALS",
    "DEBUG_THREADS",
    "DETECT_DEADLOCKS",
    "DONT_OPTIMIZE",
    "DO_CRASH",
    "DUMP_SCHEDULER",
    "G711_NEW_ALGORITHM",
    "G711_REDUCED_BRANCHING",
    "INTEGER_CALLERID",
    "LEAK_SANITIZER",
    "LOADABLE_MODULES",
    "LOTS_OF_SPANS",
    "MALLOC_DEBUG",
    "MTX_PROFILE",
    "OPTIONAL_API",
    "RADIO_RELAX",
    "REBUILD_PARSERS",
    "REF_DEBUG",
    "SUBGROUP_DEBUG",
    "TEST_CODING_TABLES",
    "TEST_FRAMEWORK",
    "TEST_TANDEM_TRANSCODING",
    "THREAD_CRASH",
    "THREAD_SANITIZER",
    "TRACE_FRAMES",
    "UNDEFINED_SANITIZER",
    "USE_HOARD_ALLOCATOR",
];

/// The first build option that our files do not support.
///
/// Since 11.21.0 the program contains a list of its options. In older ones, two important options show in its exports.
pub fn unknown(program: &Elf, is_eleven: bool) -> Option<String> {
    let of_eleven = is_eleven.then(|| unknown_of_eleven(&program.exports())).flatten();
    of_eleven.or_else(|| program.texts().find_map(unknown_of_list))
}

/// The first unsupported option, recognised by the exports of an Asterisk 11 program or the imports of all its
/// modules: with AST_DEVMODE another function removes timers, with LOW_MEMORY there is no list of source files. (The
/// checksum of options in each module is no help: before 11.21.0 it covers other things.)
pub fn unknown_of_eleven(names: &HashSet<String>) -> Option<String> {
    if names.contains("_ast_sched_del") {
        return Some("AST_DEVMODE".to_owned());
    }
    (!names.contains("ast_register_file_version")).then(|| "LOW_MEMORY".to_owned())
}

/// The first unsupported option in a list such as `DONT_OPTIMIZE, LOADABLE_MODULES, BUILD_NATIVE`.
fn unknown_of_list(text: &str) -> Option<String> {
    let options: Vec<_> = text.split(',').map(str::trim).collect();
    let is_option =
        |word: &&str| word.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')) && !word.is_empty();
    if !options.contains(&"LOADABLE_MODULES") || !options.iter().all(is_option) {
        return None;
    }
    options.into_iter().find(|option| !HARMLESS.contains(option)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_named() {
        assert_eq!(unknown_of_list("LOADABLE_MODULES"), None);
        assert_eq!(unknown_of_list("DONT_OPTIMIZE, LOADABLE_MODULES, BUILD_NATIVE"), None);
        assert_eq!(unknown_of_list("LOADABLE_MODULES, LOW_MEMORY").as_deref(), Some("LOW_MEMORY"));
        assert_eq!(unknown_of_list("LOADABLE_MODULES, PACKED_FRAMES").as_deref(), Some("PACKED_FRAMES"));
        assert_eq!(unknown_of_list("without LOADABLE_MODULES, modules are not loaded"), None);
    }
}
