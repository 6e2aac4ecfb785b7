//! Wrong configuration: the log names file and key, the call is refused or the default used, and everything else works.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::driver::Driver;
use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux, Transport};
use e2e::plain::PlainPhone;
use e2e::proof::EchoCall;
use e2e::site::Site;

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_certificate_that_does_not_exist_refuses_the_call() -> Result {
    refused("no-certificate", "absent.pem", None, with_certificate)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_key_that_is_none_refuses_the_call() -> Result {
    refused("no-key", "garbage.key", Some("not a key"), with_key)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn a_key_of_another_certificate_refuses_the_call() -> Result {
    refused("other-key", "other.key", Some(&key_of_nobody()?), with_key)
}

#[test]
#[cfg_attr(not(asterisk), ignore = "ASTERISK_PREFIX names no Asterisk")]
fn broken_values_in_rtp_conf_are_named_and_the_defaults_used() -> Result {
    let rtp = "rtcpmux = maybe\nstrictrtp = perhaps\nprobation = soon\nrtpchecksums = 17\n".to_owned();
    let lab = Lab::start("broken-rtp", &Site { rtp, ..Site::default() })?;
    let log = lab.log()?;
    for key in ["rtcpmux", "strictrtp", "probation"] {
        let named = log.lines().any(|line| {
            (line.contains("WARNING") || line.contains("ERROR")) && line.contains("rtp.conf") && line.contains(key)
        });
        ensure(named, || format!("no line names rtp.conf and {key}: {}", lab.directory().display()))?;
    }
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    EchoCall::SHORT.place(&lab, &mut phone, "echo").map(drop)
}

fn with_certificate(file: PathBuf) -> Site {
    Site { certificate: Some(file), ..Site::default() }
}

fn with_key(file: PathBuf) -> Site {
    Site { key: Some(file), ..Site::default() }
}

/// Tests a site that names `file`, which contains `content` or does not exist.
fn refused(name: &str, file: &str, content: Option<&str>, site: fn(PathBuf) -> Site) -> Result {
    let path = std::env::temp_dir().join(format!("e2e-{}-{file}", std::process::id()));
    if let Some(content) = content {
        fs::write(&path, content)?;
    }
    let lab = Lab::start(name, &site(path.clone()))?;
    let mut phone = Phone::open(&lab, Browser::Chromium, "1001")?;
    let registered = phone.register(&lab, Transport::Plain);
    if lab.driver() == Driver::ChanPjsip && content.is_none() {
        // If the file is missing, chan_pjsip does not create the account.
        ensure(registered.is_err(), || "the account was registered".to_owned())?;
    } else {
        registered?;
        phone.dial("echo", RtcpMux::Require)?;
        let outcome = phone.until(&["accepted", "failed"], Duration::from_secs(15))?;
        ensure(outcome["name"] == "failed", || format!("the call was not refused: {outcome}"))?;
    }
    lab.until_logged(file, Duration::from_secs(10))?;
    let log = lab.log()?;
    let named = log.lines().any(|line| line.contains("ERROR") && line.contains(file));
    ensure(named, || format!("no error names {file}: {}", lab.directory().display()))?;
    // Other accounts are not affected.
    let plain = PlainPhone::call(&lab, "echo", Duration::from_secs(6))?.finish(Duration::from_secs(20))?;
    let _ = fs::remove_file(&path);
    ensure(plain.packets > 100 && plain.lost == 0, || format!("a plain phone got {} packets", plain.packets))
}

/// A key that belongs to no certificate.
fn key_of_nobody() -> Result<String> {
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output()?;
    ensure(made.status.success(), || format!("openssl genpkey: {}", String::from_utf8_lossy(&made.stderr)))?;
    Ok(String::from_utf8_lossy(&made.stdout).into_owned())
}
