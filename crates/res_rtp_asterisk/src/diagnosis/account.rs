//! The settings of an account in `sip.conf`, for verdicts. Accounts from a database are not known.

use asterisk::config::{Config, Load, Reload};
use story::verdict::Account;

/// Reads the settings of the account `user`, those of `[general]` first. Reads a file.
pub fn find(user: &str) -> Account {
    let Load::Loaded(config) = Config::load(c"sip.conf", Reload::Always) else { return Account::default() };
    let sections: Vec<_> = config.sections().filter(|(name, _)| *name == "general" || *name == user).collect();
    if !sections.iter().any(|(name, _)| *name == user) {
        return Account::default();
    }
    let mut account = Account { name: Some(user.to_owned()), settings: Vec::new() };
    // The account's own settings count.
    for own in [false, true] {
        let of = sections.iter().filter(|(name, _)| (*name == user) == own);
        for entry in of.flat_map(|(_, entries)| entries.clone()) {
            // Not for a story: it may be shown to others.
            if !["secret", "md5secret"].contains(&entry.name) {
                account.settings.push((entry.name.to_owned(), entry.value.to_owned()));
            }
        }
    }
    account
}
