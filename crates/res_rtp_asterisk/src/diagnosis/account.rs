//! The settings of an account in `sip.conf`, or of an endpoint in `pjsip.conf`, for verdicts. Accounts from a database or
//! `pjsip_wizard.conf` are not known.

use std::path::Path;

use ::story::Driver;
use ::story::event::Certificate as Fault;
use ::story::verdict::Account;
use asterisk::config::{Config, Entries, Load, Reload};
use dtls_srtp::Certificate;

use crate::transport::contexts;

/// Reads the settings of the account `user` of a driver. Reads files.
pub fn find(driver: Driver, user: &str) -> Account {
    let Load::Loaded(config) = Config::load(driver.names().file, Reload::Always) else { return Account::default() };
    match driver {
        Driver::ChanSip => of_sip_conf(&config, user),
        Driver::ChanPjsip => of_pjsip_conf(&config, user),
    }
}

/// Reads the settings of a section, those of `[general]` first.
fn of_sip_conf(config: &Config, user: &str) -> Account {
    let sections: Vec<_> = config.sections().filter(|(name, _)| *name == "general" || *name == user).collect();
    if !sections.iter().any(|(name, _)| *name == user) {
        return Account::default();
    }
    let mut account = Account { name: Some(user.to_owned()), ..Account::default() };
    // The account's own settings count.
    for own in [false, true] {
        let of = sections.iter().filter(|(name, _)| (*name == user) == own);
        of.for_each(|(_, entries)| account.settings.extend(settings(entries.clone())));
    }
    account
}

/// Reads the settings of the endpoint, whose section may have the name of others, such as its address of record.
fn of_pjsip_conf(config: &Config, user: &str) -> Account {
    let is_endpoint = |entries: &Entries<'_>| {
        entries.clone().named("type").last().is_some_and(|entry| entry.value.eq_ignore_ascii_case("endpoint"))
    };
    let Some((_, entries)) = config.sections().find(|(name, entries)| *name == user && is_endpoint(entries)) else {
        return Account::default();
    };
    let account = Account { name: Some(user.to_owned()), settings: settings(entries).collect(), certificate: None };
    Account { certificate: fault(&account), ..account }
}

/// The keys whose values nobody is shown.
const SECRETS: [&str; 3] = ["secret", "md5secret", "password"];

fn settings(entries: Entries<'_>) -> impl Iterator<Item = (String, String)> {
    // Not for a story: it may be shown to others.
    let shown = entries.filter(|entry| !SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(entry.name)));
    shown.map(|entry| (entry.name.to_owned(), entry.value.to_owned()))
}

/// Judges the certificate that an endpoint names.
fn fault(account: &Account) -> Option<Fault> {
    let named = |key| account.get(key).filter(|file| !file.is_empty()).map(Path::new);
    let names = Driver::ChanPjsip.names();
    match Certificate::try_pem_files(named(names.certificate)?, named(names.private_key)) {
        Ok(None) => None,
        Ok(Some(_)) => Some(Fault::OutOfDate),
        Err(error) => Some(contexts::kind(&error)),
    }
}
