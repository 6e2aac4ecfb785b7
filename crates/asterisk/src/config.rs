//! The host's configuration files. An invalid value is logged as an error with file, line, key, value and the value
//! used instead; it does not affect any other setting.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::ptr::{self, NonNull};
use std::str::FromStr;

use crate::{error, log, module, sys, warning};

/// The contents of one configuration file.
#[derive(Debug)]
pub struct Config {
    file: CString,
    raw: NonNull<sys::ast_config>,
    /// The sections and keys that were read so far, in lower case.
    asked: RefCell<BTreeSet<(String, String)>>,
}

/// The result of loading a file.
#[derive(Debug)]
pub enum Load {
    /// The file does not exist.
    Missing,
    /// The host could not parse the file and has logged why.
    Invalid,
    /// The file has not changed since it was last loaded.
    Unchanged,
    /// The file was loaded.
    Loaded(Config),
}

/// When to load a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// Always.
    Always,
    /// Only if the file has changed since it was last loaded.
    IfChanged,
}

impl Config {
    /// Loads a file of the configuration directory. Wraps `ast_config_load2`.
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

    /// The lines of a section in the order of the file. Wraps `ast_variable_browse`.
    pub fn section(&self, section: &CStr) -> Entries<'_> {
        // SAFETY: the configuration is ours; the returned list lives until it is destroyed.
        let next = unsafe { sys::ast_variable_browse(self.raw.as_ptr(), section.as_ptr()) };
        Entries { next, of: PhantomData, file: self.file.to_str().unwrap_or_default() }
    }

    /// All sections with their names in the order of the file, without templates. Wraps `ast_category_browse`.
    pub fn sections(&self) -> Sections<'_> {
        Sections { config: self, last: ptr::null() }
    }

    /// All lines of a section with this key.
    pub fn all<'a>(&'a self, section: &CStr, key: &'a str) -> impl Iterator<Item = Entry<'a>> {
        self.asked.borrow_mut().insert((section.to_string_lossy().to_ascii_lowercase(), key.to_ascii_lowercase()));
        self.section(section).named(key)
    }

    /// The last line of a section with this key: later lines override earlier ones.
    pub fn get<'a>(&'a self, section: &CStr, key: &'a str) -> Option<Entry<'a>> {
        self.all(section, key).last()
    }

    /// Warns of every key and section that has not been read so far: a misspelt limit would go unnoticed otherwise.
    /// Warns of repeated sections too, because the host finds only the first one of a name.
    pub fn warn_of_the_rest(&self) {
        let asked = self.asked.borrow();
        let mut seen = BTreeSet::new();
        for (section, entries) in self.sections() {
            let name = section.to_ascii_lowercase();
            let is_known = asked.iter().any(|(known, _)| *known == name);
            // The host does not report the line on which a section begins, so the section's first entry stands for it.
            let first = entries.clone().next().map(|entry| format!("{}, line {}", entry.file, entry.line));
            let place = first.unwrap_or_else(|| self.file.to_string_lossy().into_owned());
            match () {
                () if !is_known => warning!("{place}: unknown section [{section}] is ignored, check its name"),
                () if !seen.insert(name.clone()) => {
                    warning!("{place}: there is more than one section [{section}], only the first is used")
                }
                () => {
                    let is_unknown =
                        |entry: &Entry<'_>| !asked.contains(&(name.clone(), entry.name.to_ascii_lowercase()));
                    entries.filter(is_unknown).for_each(|Entry { name, file, line, .. }| {
                        warning!("{file}, line {line}: unknown key '{name}' in [{section}] is ignored, check its name");
                    });
                }
            }
        }
    }

    /// The number of a key. The default if the key is missing, or, with an error in the log, if it is not in `range`.
    pub fn number<T>(&self, section: &CStr, key: &str, range: RangeInclusive<T>, default: T) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.get(section, key)
            .map_or(default, |entry| entry.number(range).unwrap_or_else(|bad| bad.use_instead(default)))
    }

    /// The boolean of a key. The default if the key is missing, or, with an error in the log, if it is no boolean.
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
        // SAFETY: `load` got it from the host, and no entry that borrows from us is left.
        unsafe { sys::ast_config_destroy(self.raw.as_ptr()) };
    }
}

/// An iterator over the sections of a file.
#[derive(Debug)]
pub struct Sections<'a> {
    config: &'a Config,
    last: *const c_char,
}

impl<'a> Iterator for Sections<'a> {
    type Item = (&'a str, Entries<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: `last` is null or the name that the same configuration returned last. The host tells sections of
        // equal name apart by the address of the name, both here and when it looks for their lines.
        let name: *const c_char = unsafe { sys::ast_category_browse(self.config.raw.as_ptr(), self.last) };
        if name.is_null() {
            return None;
        }
        self.last = name;
        // SAFETY: a string that lives as long as the configuration.
        let (text, section) = unsafe { (log::text(name), CStr::from_ptr(name)) };
        Some((text.unwrap_or_default(), self.config.section(section)))
    }
}

/// An iterator over the lines of a section.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    next: *mut sys::ast_variable,
    of: PhantomData<&'a Config>,
    file: &'a str,
}

impl<'a> Entries<'a> {
    /// The lines with this key, compared without case. If only one is wanted, the last one counts.
    pub fn named(self, key: &str) -> impl Iterator<Item = Entry<'a>> {
        self.filter(move |entry| entry.name.eq_ignore_ascii_case(key))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        // SAFETY: null at the end, or an entry that lives as long as the configuration, which `'a` borrows.
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
    /// The key, before the equals sign.
    pub name: &'a str,
    /// The value, after the equals sign.
    pub value: &'a str,
    /// The file that contains the line; an included file has its own name.
    pub file: &'a str,
    /// The number of the line in that file.
    pub line: u32,
}

impl<'a> Entry<'a> {
    /// Parses the value as a number within `range`.
    pub fn number<T>(&self, range: RangeInclusive<T>) -> Result<T, BadValue<'a>>
    where
        T: FromStr + PartialOrd + Display,
    {
        let wanted = || format!("a number from {} to {}", range.start(), range.end());
        let number = self.value.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| self.bad(wanted()))
    }

    /// Parses the value as a boolean by the host's words: yes, true, y, t, 1 and on, or their opposites.
    pub fn boolean(&self) -> Result<bool, BadValue<'a>> {
        let is_one_of = |words: &[&str]| words.iter().any(|word| self.value.trim().eq_ignore_ascii_case(word));
        match () {
            () if is_one_of(&["yes", "true", "y", "t", "1", "on"]) => Ok(true),
            () if is_one_of(&["no", "false", "n", "f", "0", "off"]) => Ok(false),
            () => Err(self.bad("yes or no".to_owned())),
        }
    }

    /// An error for this value, with a description of a valid one: `entry.bad("an address and a port".into())`.
    pub fn bad(&self, wanted: String) -> BadValue<'a> {
        BadValue { entry: *self, wanted }
    }
}

/// An invalid value in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadValue<'a> {
    entry: Entry<'a>,
    wanted: String,
}

impl BadValue<'_> {
    /// Logs the error together with the default that is used instead, and returns the default.
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
