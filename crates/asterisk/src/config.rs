//! The host's configuration files. A value that cannot be used is an error that names file, line, key and value, and what
//! is used instead; nothing else is disturbed by it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::ptr::{self, NonNull};
use std::str::FromStr;

use crate::{error, log, module, sys, warning};

/// One configuration file, read.
#[derive(Debug)]
pub struct Config {
    file: CString,
    raw: NonNull<sys::ast_config>,
    /// The sections and keys that somebody has asked for, in lower case.
    asked: RefCell<BTreeSet<(String, String)>>,
}

/// What came of reading one.
#[derive(Debug)]
pub enum Load {
    /// There is no such file.
    Missing,
    /// The host could not make sense of it, and has logged why.
    Invalid,
    /// Not written to since it was read the last time.
    Unchanged,
    /// Here it is.
    Loaded(Config),
}

/// When to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// In any case.
    Always,
    /// When the file was written to since the last time.
    IfChanged,
}

impl Config {
    /// Reads a file of the configuration directory. Wraps `ast_config_load2`.
    pub fn load(file: &CStr, reload: Reload) -> Load {
        let flags = match reload {
            Reload::Always => 0,
            Reload::IfChanged => sys::CONFIG_FLAG_FILEUNCHANGED,
        };
        let flags = sys::ast_flags { flags: flags as _ };
        // SAFETY: two NUL-terminated strings that the host only reads.
        let raw = unsafe { sys::ast_config_load2(file.as_ptr(), module::name().as_ptr(), flags) };
        match raw.addr() as isize {
            0 => Load::Missing,
            -1 => Load::Unchanged,
            -2 => Load::Invalid,
            _ => Load::Loaded(Self {
                file: file.to_owned(),
                // SAFETY: not null, as seen just above.
                raw: unsafe { NonNull::new_unchecked(raw) },
                asked: RefCell::default(),
            }),
        }
    }

    /// What a section says, in the order of the file. Wraps `ast_variable_browse`.
    pub fn section(&self, section: &CStr) -> Entries<'_> {
        // SAFETY: the configuration is ours; what it answers stays until it is destroyed.
        let next = unsafe { sys::ast_variable_browse(self.raw.as_ptr(), section.as_ptr()) };
        Entries { next, of: PhantomData, file: self.file.to_str().unwrap_or_default() }
    }

    /// All sections with their names, in the order of the file; a template is none. Wraps `ast_category_browse`.
    pub fn sections(&self) -> Sections<'_> {
        Sections { config: self, last: ptr::null() }
    }

    /// All lines of a section with this key.
    pub fn all<'a>(&'a self, section: &CStr, key: &'a str) -> impl Iterator<Item = Entry<'a>> {
        self.asked.borrow_mut().insert((section.to_string_lossy().to_ascii_lowercase(), key.to_ascii_lowercase()));
        self.section(section).named(key)
    }

    /// The last word of a section on a key, as the file is read by people: later lines win.
    pub fn get<'a>(&'a self, section: &CStr, key: &'a str) -> Option<Entry<'a>> {
        self.all(section, key).last()
    }

    /// Says which lines nobody has asked for, so far, by their key: whoever misspells a limit believes that it holds. The
    /// host finds one section of a name, the first.
    pub fn warn_of_the_rest(&self) {
        let asked = self.asked.borrow();
        let mut seen = BTreeSet::new();
        for (section, entries) in self.sections() {
            let name = section.to_ascii_lowercase();
            let is_known = asked.iter().any(|(known, _)| *known == name);
            // The host does not tell where a section begins.
            let first = entries.clone().next().map(|entry| format!("{}, line {}", entry.file, entry.line));
            let place = first.unwrap_or_else(|| self.file.to_string_lossy().into_owned());
            match () {
                () if !is_known => warning!("{place}: nothing is read from a section [{section}]"),
                () if !seen.insert(name.clone()) => {
                    warning!("{place}: of several sections [{section}] the first is read")
                }
                () => {
                    let is_unknown =
                        |entry: &Entry<'_>| !asked.contains(&(name.clone(), entry.name.to_ascii_lowercase()));
                    entries.filter(is_unknown).for_each(|Entry { name, file, line, .. }| {
                        warning!("{file}, line {line}: there is no key '{name}' in [{section}], it is ignored");
                    });
                }
            }
        }
    }

    /// A number within limits, or the default: silently when the key is not there, with an error when it is broken.
    pub fn number<T>(&self, section: &CStr, key: &str, range: RangeInclusive<T>, default: T) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.get(section, key)
            .map_or(default, |entry| entry.number(range).unwrap_or_else(|bad| bad.use_instead(default)))
    }

    /// Yes or no, or the default.
    pub fn boolean(&self, section: &CStr, key: &str, default: bool) -> bool {
        let word = |value| if value { "yes" } else { "no" };
        self.get(section, key).map_or(default, |entry| {
            entry.boolean().unwrap_or_else(|bad| {
                bad.use_instead(word(default));
                default
            })
        })
    }

    /// The file's name.
    pub fn file(&self) -> &CStr {
        &self.file
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: `load` gave it to us, and every entry borrows from us.
        unsafe { sys::ast_config_destroy(self.raw.as_ptr()) };
    }
}

/// The sections of a file.
#[derive(Debug)]
pub struct Sections<'a> {
    config: &'a Config,
    last: *const c_char,
}

impl<'a> Iterator for Sections<'a> {
    type Item = (&'a str, Entries<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: null, or the name that the same configuration answered last. The host tells sections of one name apart by
        // the address of the name, here and where it looks for the lines.
        let name: *const c_char = unsafe { sys::ast_category_browse(self.config.raw.as_ptr(), self.last) };
        if name.is_null() {
            return None;
        }
        self.last = name;
        // SAFETY: a string of the configuration, which stays as long as that.
        let (text, section) = unsafe { (log::text(name), CStr::from_ptr(name)) };
        Some((text.unwrap_or_default(), self.config.section(section)))
    }
}

/// The lines of a section.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    next: *mut sys::ast_variable,
    of: PhantomData<&'a Config>,
    file: &'a str,
}

impl<'a> Entries<'a> {
    /// Those with this key, which is written in any case; the last is the one that counts, where one does.
    pub fn named(self, key: &str) -> impl Iterator<Item = Entry<'a>> {
        self.filter(move |entry| entry.name.eq_ignore_ascii_case(key))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        // SAFETY: null at the end, else an entry that stays as long as the configuration, which `'a` borrows.
        let variable = unsafe { self.next.as_ref() }?;
        self.next = variable.next;
        // SAFETY: strings of the same configuration.
        let text = |raw| unsafe { log::text(raw) }.unwrap_or_default();
        // The host names the file of an entry only when it came from an `#include`.
        let file = Some(text(variable.file)).filter(|file| !file.is_empty()).unwrap_or(self.file);
        let line = u32::try_from(variable.lineno).unwrap_or(0);
        Some(Entry { name: text(variable.name), value: text(variable.value), file, line })
    }
}

/// One line of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What stands before the equals sign.
    pub name: &'a str,
    /// What stands behind it.
    pub value: &'a str,
    /// Where it is written; a file that includes others is not where they are.
    pub file: &'a str,
    /// On which line.
    pub line: u32,
}

impl<'a> Entry<'a> {
    /// A number within limits.
    pub fn number<T>(&self, range: RangeInclusive<T>) -> Result<T, BadValue<'a>>
    where
        T: FromStr + PartialOrd + Display,
    {
        let wanted = || format!("a number from {} to {}", range.start(), range.end());
        let number = self.value.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| self.bad(wanted()))
    }

    /// Yes or no, in the words that the host takes for them.
    pub fn boolean(&self) -> Result<bool, BadValue<'a>> {
        let is_one_of = |words: &[&str]| words.iter().any(|word| self.value.trim().eq_ignore_ascii_case(word));
        match () {
            () if is_one_of(&["yes", "true", "y", "t", "1", "on"]) => Ok(true),
            () if is_one_of(&["no", "false", "n", "f", "0", "off"]) => Ok(false),
            () => Err(self.bad("yes or no".to_owned())),
        }
    }

    /// Says that the value is not what it should be: `entry.bad("an address and a port".into())`.
    pub fn bad(&self, wanted: String) -> BadValue<'a> {
        BadValue { entry: *self, wanted }
    }
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadValue<'a> {
    entry: Entry<'a>,
    wanted: String,
}

impl BadValue<'_> {
    /// Logs the error with what is used instead, and answers that.
    pub fn use_instead<T: Display>(&self, default: T) -> T {
        error!("{self}; using {default}");
        default
    }
}

impl Display for BadValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { name, value, file, line } = self.entry;
        write!(f, "{file}, line {line}: {name} = '{value}' is not {}", self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &str) -> Entry<'_> {
        Entry { name: "rtpstart", value, file: "rtp.conf", line: 12 }
    }

    #[test]
    fn a_broken_number_is_reported_with_its_place() {
        assert_eq!(entry("5000").number(1024..=65535), Ok(5000));
        let text = "rtp.conf, line 12: rtpstart = '70000' is not a number from 1024 to 65535";
        assert_eq!(entry("70000").number(1024..=65535).unwrap_err().to_string(), text);
        assert!(entry("many").number(1024..=65535).is_err());
    }

    #[test]
    fn booleans_are_the_hosts_words() {
        assert_eq!(entry("Yes").boolean(), Ok(true));
        assert_eq!(entry("off").boolean(), Ok(false));
        assert!(entry("maybe").boolean().is_err());
    }
}
