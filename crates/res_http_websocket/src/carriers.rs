//! Warns of what does not go with `opus = g719` and `vp8 = mpeg4` of `websocket.conf`: modules and phones that take the host's
//! format for what it is called.
//!
//! Modules are loaded in an order of their own, so it is looked again when the first client comes.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use asterisk::config::{Config, Load, Reload};
use asterisk::{lock, module};
use sip_dialect::{Rule, Rules};

/// The warnings that have been given for the settings in force.
#[derive(Debug, Default)]
pub struct Warnings {
    told: Mutex<BTreeSet<String>>,
    are_all_told: AtomicBool,
}

impl Warnings {
    /// Warns when the module is loaded, of what is there already.
    pub fn handle_load(&self, rules: Rules) {
        self.warn(of_modules(rules).into_iter().chain(of_phones(rules)));
    }

    /// Warns anew of other settings.
    pub fn handle_reload(&self, rules: Rules) {
        lock(&self.told).clear();
        self.are_all_told.store(false, Ordering::Relaxed);
        self.handle_client(rules);
    }

    /// Warns before a client's session, once, of what is missing now.
    pub fn handle_client(&self, rules: Rules) {
        if !self.are_all_told.swap(true, Ordering::Relaxed) {
            self.warn(of_modules(rules).into_iter().chain(of_missing_modules(rules)).chain(of_phones(rules)));
        }
    }

    fn warn(&self, problems: impl Iterator<Item = String>) {
        for problem in problems {
            if lock(&self.told).insert(problem.clone()) {
                asterisk::warning!("{problem}");
            }
        }
    }
}

fn of_modules(rules: Rules) -> Option<String> {
    let reads_files = rules.has(Rule::Opus) && module::is_loaded(c"format_g719.so");
    reads_files.then(|| {
        "websocket.conf: opus = g719, but format_g719.so is loaded and would keep Opus in files of G.719: write noload => \
         format_g719.so into modules.conf"
            .to_owned()
    })
}

fn of_missing_modules(rules: Rules) -> Option<String> {
    let lacks = rules.has(Rule::Opus) && !module::is_loaded(TRANSLATORS);
    lacks.then(|| {
        "websocket.conf: opus = g719, but codec_opus_g719.so is not loaded: a call in Opus has no audio with a phone, a file or a \
         conference that has no Opus"
            .to_owned()
    })
}

/// The module that translates between Opus and linear samples.
const TRANSLATORS: &std::ffi::CStr = c"codec_opus_g719.so";

/// Looks for accounts of chan_sip that are no browsers and allow a carrier.
fn of_phones(rules: Rules) -> Vec<String> {
    let carriers: Vec<_> = CARRIERS.iter().filter(|(rule, ..)| rules.has(*rule)).collect();
    if carriers.is_empty() {
        return Vec::new();
    }
    let Load::Loaded(config) = Config::load(c"sip.conf", Reload::Always) else { return Vec::new() };
    let sections: Vec<Account<'_>> = config
        .sections()
        .map(|(name, entries)| Account { name, keys: entries.map(|entry| (entry.name, entry.value)).collect() })
        .collect();
    carriers.into_iter().filter_map(|(_, carrier, format)| warning(&sections, carrier, format)).collect()
}

const CARRIERS: [(Rule, &str, &str); 2] = [(Rule::Opus, "g719", "Opus"), (Rule::Vp8, "mpeg4", "VP8")];

fn warning(sections: &[Account<'_>], carrier: &str, format: &str) -> Option<String> {
    let general = sections.iter().find(|section| section.name.eq_ignore_ascii_case("general"));
    let general = general.map_or(&[][..], |section| &section.keys);
    let is_phone = |section: &&Account<'_>| section.is_account() && !section.is_browser(general);
    let phones = sections.iter().filter(is_phone).filter(|section| section.allows(general, carrier));
    let mut names: Vec<&str> = phones.map(|section| section.name).collect();
    if takes_guests(general) && general_allows(general, carrier) {
        names.push("guests (allowguest)");
    }
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    (!names.is_empty()).then(|| {
        format!(
            "sip.conf: {shown}{more} may use {carrier} over other transports than ws and wss: calls with browsers would send them \
             {format} under that name, and a phone its {carrier} to browsers, so disallow {carrier}"
        )
    })
}

/// Whether callers without an account are let in, by the lines of `[general]`, and not by WebSocket alone.
fn takes_guests(general: &[(&str, &str)]) -> bool {
    let last = general.iter().rfind(|(key, _)| key.eq_ignore_ascii_case("allowguest"));
    let is_no =
        |value: &str| ["no", "false", "n", "f", "0", "off"].iter().any(|no| value.trim().eq_ignore_ascii_case(no));
    last.is_none_or(|(_, value)| !is_no(value)) && !uses_web_sockets(general).unwrap_or(false)
}

/// Whether `ws` and `wss` are all transports that the lines name; `None` if they name none.
fn uses_web_sockets(keys: &[(&str, &str)]) -> Option<bool> {
    let last = keys.iter().rfind(|(key, _)| key.eq_ignore_ascii_case("transport"));
    last.map(|(_, value)| items(value).all(|word| ["ws", "wss"].contains(&&*word)))
}

/// Whether `[general]` leaves a format.
fn general_allows(general: &[(&str, &str)], format: &str) -> bool {
    Account { name: "", keys: Vec::new() }.allows(general, format)
}

/// The accounts that a warning names.
const SHOWN: usize = 5;

/// A section of `sip.conf`, its template's lines included.
struct Account<'a> {
    name: &'a str,
    keys: Vec<(&'a str, &'a str)>,
}

impl Account<'_> {
    fn is_account(&self) -> bool {
        let is_type = |(key, value): &(&str, &str)| {
            key.eq_ignore_ascii_case("type")
                && ["peer", "friend", "user"].iter().any(|kind| value.trim().eq_ignore_ascii_case(kind))
        };
        self.keys.iter().any(is_type)
    }

    fn is_browser(&self, general: &[(&str, &str)]) -> bool {
        uses_web_sockets(&self.keys).or_else(|| uses_web_sockets(general)).unwrap_or(false)
    }

    /// Whether the lines `allow` and `disallow` leave a format, in their order, after those of `[general]`.
    fn allows(&self, general: &[(&str, &str)], format: &str) -> bool {
        general.iter().chain(&self.keys).fold(false, |is_allowed, (key, value)| {
            let allows = key.eq_ignore_ascii_case("allow");
            if !allows && !key.eq_ignore_ascii_case("disallow") {
                return is_allowed;
            }
            items(value).fold(is_allowed, |is_allowed, item| {
                let (item, means) = item.strip_prefix('!').map_or((&*item, allows), |item| (item, !allows));
                // A packet size may follow, as in ulaw:20.
                let name = item.split(':').next().unwrap_or_default();
                if name == format || name == "all" { means } else { is_allowed }
            })
        })
    }
}

/// The words between commas, in lower case.
fn items(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(|word| word.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Keys = &'static [(&'static str, &'static str)];

    fn warned(sections: &[(&'static str, Keys)]) -> Option<String> {
        let sections: Vec<Account<'_>> =
            sections.iter().map(|(name, keys)| Account { name, keys: keys.to_vec() }).collect();
        warning(&sections, "g719", "Opus")
    }

    #[test]
    fn browsers_may_have_the_carrier_and_phones_are_named() {
        let browser: Keys = &[("type", "friend"), ("transport", "WS,wss"), ("disallow", "all"), ("allow", "g719,ulaw")];
        let phone: Keys = &[("type", "peer"), ("disallow", "all"), ("allow", "ulaw, G719:20")];
        assert_eq!(warned(&[("general", &[]), ("1001", browser)]), None);
        let said = warned(&[("1001", browser), ("2001", phone), ("2002", phone)]).expect("a warning");
        assert!(said.starts_with("sip.conf: 2001, 2002 may use g719 over "), "{said}");
        assert_eq!(warned(&[("authentication", &[("allow", "g719")])]), None);
    }

    #[test]
    fn lines_count_in_their_order_and_those_of_general_come_first() {
        let general: (&str, Keys) = ("general", &[("allow", "all"), ("allowguest", "no")]);
        let inherits: (&str, Keys) = ("2001", &[("type", "peer")]);
        let refuses: (&str, Keys) = ("2002", &[("type", "peer"), ("disallow", "g719")]);
        let excepts: (&str, Keys) = ("2003", &[("type", "peer"), ("allow", "all,!g719")]);
        let said = warned(&[general, inherits, refuses, excepts]).expect("a warning");
        assert!(said.starts_with("sip.conf: 2001 may use"), "{said}");
        let web: (&str, Keys) = ("general", &[("allow", "all"), ("transport", "ws")]);
        assert_eq!(warned(&[web, inherits]), None);
    }

    #[test]
    fn an_account_that_may_also_register_by_udp_is_a_phone() {
        let both: Keys = &[("type", "friend"), ("transport", "udp,ws"), ("allow", "g719")];
        let said = warned(&[("1001", both)]).expect("a warning");
        assert!(said.starts_with("sip.conf: 1001 may use g719 over "), "{said}");
    }

    #[test]
    fn guests_are_phones_with_the_formats_of_general() {
        let said = warned(&[("general", &[("allow", "ulaw,g719")])])
            .expect("a warning: guests are let in unless said otherwise");
        assert!(said.starts_with("sip.conf: guests (allowguest) may use g719 over "), "{said}");
        assert_eq!(warned(&[("general", &[("allow", "ulaw,g719"), ("allowguest", "no")])]), None);
        assert_eq!(warned(&[("general", &[("allow", "ulaw"), ("allowguest", "yes")])]), None);
    }

    #[test]
    fn a_warning_names_five_of_many() {
        let phone: Keys = &[("type", "peer"), ("allow", "g719")];
        let many: Vec<(&str, Keys)> = ["1", "2", "3", "4", "5", "6", "7"].map(|name| (name, phone)).to_vec();
        let said = warned(&many).expect("a warning");
        assert!(said.starts_with("sip.conf: 1, 2, 3, 4, 5 and 2 more may use"), "{said}");
    }
}
