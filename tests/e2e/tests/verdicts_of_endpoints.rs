//! Broken set-ups of `chan_pjsip`, each of which the history of calls and the self-test name with the key and the section of
//! `pjsip.conf`. `verdicts` has those of `chan_sip`.

use std::path::Path;
use std::thread;
use std::time::Duration;

use e2e::certificate;
use e2e::failure::{Failure, Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::site::{Edit, Site};

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn media_encryption_is_missing() -> Result {
    let log = std::env::temp_dir().join(format!("verdicts-of-endpoints-{}.json", std::process::id()));
    let edit: Edit = |text| text.replace("webrtc = yes\n", "use_avpf = yes\nice_support = yes\nrtcp_mux = yes\n");
    let rtp = format!("calllog = {}\n", log.display());
    let site = Site { rtp, edits: vec![("pjsip.conf", edit)], ..Site::default() };
    fails("endpoint-encryption", &site, "media_encryption", "set media_encryption = dtls", "[1001] of pjsip.conf")?;
    let line = std::fs::read_to_string(&log)?;
    let call: serde_json::Value = serde_json::from_str(line.trim()).map_err(|error| Failure::new(error.to_string()))?;
    ensure(call["setting"] == "media_encryption", || line.clone())?;
    std::fs::remove_file(&log).map_err(Failure::from)
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn ice_support_is_missing() -> Result {
    let site = Site::edited("pjsip.conf", |text| {
        let single = "use_avpf = yes\nmedia_encryption = dtls\ndtls_verify = fingerprint\ndtls_setup = actpass\nrtcp_mux = yes\n";
        text.replace("webrtc = yes\n", single)
    });
    fails("endpoint-ice", &site, "ice_support", "set ice_support = yes (or webrtc = yes)", "in [1001] of pjsip.conf")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn a_file_that_is_no_certificate() -> Result {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let site = Site { certificate: Some(file), ..Site::default() };
    fails("endpoint-certificate", &site, "dtls_cert_file", "DTLS cannot be set up", "in [1001] of pjsip.conf")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn an_expired_certificate() -> Result {
    let (certificate, key) = certificate::make("endpoint-expired", "-1")?;
    let site = Site { certificate: Some(certificate), key: Some(key), ..Site::default() };
    fails("endpoint-expired", &site, "renew dtls_cert_file", "pjsip.conf", "pjsip.conf")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn no_codec_in_common() -> Result {
    let site = Site::edited("pjsip.conf", |text| text.replace("allow = ulaw,alaw", "allow = gsm"));
    fails("endpoint-allow", &site, "set allow", "no codec in common", "in [1001] of pjsip.conf")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn the_password_is_wrong() -> Result {
    let site = Site::edited("pjsip.conf", |text| text.replace("password = demo-1001", "password = other"));
    is_not_registered("endpoint-password", &site, "password in [1001] of pjsip.conf (type = auth)")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn the_endpoint_has_no_address_of_record() -> Result {
    let site = Site::edited("pjsip.conf", |text| text.replace("aors = 1001\n", ""));
    is_not_registered("endpoint-aors", &site, "set aors in [1001] of pjsip.conf")
}

#[test]
#[cfg_attr(not(bundles), ignore = "ASTERISK_PREFIX names no Asterisk 22")]
fn the_self_test_names_the_address_that_an_endpoint_is_bound_to() -> Result {
    let site = Site::edited("pjsip.conf", |text| {
        text.replace("webrtc = yes\n", "webrtc = yes\nmedia_address = 192.0.2.1\nbind_rtp_to_media_address = yes\n")
    });
    let lab = Lab::start("endpoint-selftest", &site)?;
    let told = lab.asterisk().cli("webrtc selftest")?;
    let named = "RTP ports: FAILED: no socket can be bound to 192.0.2.1: ";
    let line = told.lines().find(|line| line.starts_with(named));
    ensure(line.is_some_and(|line| line.ends_with("; correct media_address in [1001] of pjsip.conf")), || told.clone())
}

/// A browser calls, and hangs up if it has not been refused. The history has all the words.
fn fails(name: &str, site: &Site, key: &str, cause: &str, place: &str) -> Result {
    let lab = Lab::start(name, site)?;
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    phone.dial("echo", RtcpMux::Require)?;
    phone.until(&["accepted", "failed", "ended"], Duration::from_secs(20))?;
    thread::sleep(Duration::from_secs(2));
    // It is not up if it was refused.
    let _ = phone.hangup();
    let told = lab.until_told(cause)?;
    ensure(told.contains(key) && told.contains(place) && !told.contains(" sip.conf"), || told)
}

fn is_not_registered(name: &str, site: &Site, words: &str) -> Result {
    let lab = Lab::start(name, site)?;
    Phone::is_not_registered(&lab, Browser::Chromium, "1001", words)
}
