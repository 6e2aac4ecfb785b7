use std::net::SocketAddr;
use std::time::Duration;

use super::tests::media;
use super::*;
use crate::driver::Driver;
use crate::event::{By, Lacks};

fn of(media: Media) -> Facts {
    Facts { driver: Driver::ChanPjsip, media: Some(media), ..Facts::default() }
}

fn refused(status: u16, settings: &[(&str, &str)]) -> Facts {
    let signalling = Signalling {
        offered_by: Some(By::Client),
        offer: Some(Lacks::default()),
        refusal: Some((By::Host, status)),
        wrong_credentials: u32::from(status == 401),
        ..Signalling::default()
    };
    Facts { signalling: Some(signalling), account: endpoint(settings), ..of_nothing() }
}

fn of_nothing() -> Facts {
    Facts { driver: Driver::ChanPjsip, ..Facts::default() }
}

/// The endpoint [1001].
fn endpoint(settings: &[(&str, &str)]) -> Account {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Account { name: Some("1001".to_owned()), settings: settings.collect(), certificate: None }
}

/// The verdict names the key and pjsip.conf, and nothing of sip.conf.
#[track_caller]
fn names(facts: &Facts, key: &str, words: &str) {
    let verdict = facts.verdict();
    assert_eq!(verdict.key, key, "{verdict}");
    assert!(verdict.sentence.contains(key) && verdict.sentence.contains(words), "{verdict}");
    assert!(verdict.sentence.contains("pjsip.conf") && !verdict.sentence.contains(" sip.conf"), "{verdict}");
}

#[test]
fn a_refused_call_is_about_what_the_endpoint_lacks() {
    names(&refused(488, &[]), "media_encryption", "set media_encryption = dtls");
    names(&refused(488, &[("media_encryption", "sdes")]), "media_encryption", "webrtc = yes");
    names(&refused(488, &[("media_encryption", "dtls")]), "use_avpf", "set use_avpf = yes (or webrtc = yes) in [1001]");
    let avpf = [("media_encryption", "DTLS"), ("use_avpf", "yes")];
    names(&refused(488, &avpf), "allow", "set allow in [1001] of pjsip.conf");
    names(&refused(488, &[("webrtc", "yes")]), "allow", "set allow in [1001] of pjsip.conf");
    names(&refused(404, &[]), "context", "context in [1001] of pjsip.conf");
    let unknown = Facts { account: Account::default(), ..refused(488, &[]) };
    names(&unknown, "media_encryption", "in the endpoint's section of pjsip.conf");
}

#[test]
fn a_phone_without_encryption_or_feedback_is_told_what_the_endpoint_wants() {
    let offers = |offer, settings: &[(&str, &str)]| {
        let mut facts = refused(488, settings);
        facts.signalling.as_mut().unwrap().offer = Some(offer);
        facts
    };
    let plain = Lacks(Lacks::SECURITY.0 | Lacks::FINGERPRINT.0 | Lacks::FEEDBACK.0);
    names(&offers(plain, &[("media_encryption", "sdes")]), "media_encryption", "set media_encryption = no");
    names(&offers(plain, &[("use_avpf", "yes")]), "use_avpf", "set use_avpf = no in [1001]");
    let sdes = Lacks(Lacks::FINGERPRINT.0 | Lacks::FEEDBACK.0);
    names(&offers(sdes, &[]), "media_encryption", "set media_encryption = sdes");
}

#[test]
fn a_wrong_password_is_in_the_section_that_the_endpoint_names() {
    names(&refused(401, &[("auth", "auth1001")]), "password", "in [auth1001] of pjsip.conf (type = auth)");
    names(&Facts { account: Account::default(), ..refused(401, &[]) }, "password", "that auth of the endpoint names");
    names(&refused(403, &[]), "permit", "permit and deny in pjsip.conf (type = acl)");
}

#[test]
fn a_registration_wants_an_address_of_record_that_may_have_contacts() {
    let registers = |status, settings: &[(&str, &str)]| {
        let mut facts = refused(status, settings);
        let signalling = facts.signalling.as_mut().unwrap();
        (signalling.is_registration, signalling.offer) = (true, None);
        facts
    };
    names(&registers(403, &[]), "aors", "set aors in [1001] of pjsip.conf");
    names(&registers(403, &[("aors", "a1001")]), "max_contacts", "in [a1001] of pjsip.conf (type = aor)");
    names(&registers(404, &[("aors", "a1001")]), "aors", "(type = aor)");
}

#[test]
fn certificates_have_the_keys_of_the_endpoint() {
    let with = |problem| of(Media { certificate: Some(problem), ..Media::default() });
    names(&with(Certificate::NoCertificate), "dtls_cert_file", "correct dtls_cert_file in");
    names(&with(Certificate::OtherKey), "dtls_private_key", "correct dtls_private_key in");
    names(&with(Certificate::Other), "dtls_cipher", "dtls_cipher or dtls_ca_file");
    let mut facts = of(Media { certificate: Some(Certificate::OutOfDate), ..media() });
    facts.account = endpoint(&[]);
    assert!(facts.verdict().to_string().contains("renew dtls_cert_file in [1001] of pjsip.conf"));
}

#[test]
fn a_certificate_of_the_settings_is_the_reason_only_if_the_call_was_refused_by_it() {
    let with = |status, certificate| {
        let mut facts = refused(status, &[("webrtc", "yes")]);
        facts.account.certificate = Some(certificate);
        facts
    };
    names(&with(488, Certificate::NoCertificate), "dtls_cert_file", "DTLS cannot be set up");
    names(&with(401, Certificate::Unreadable), "dtls_cert_file", "DTLS cannot be set up");
    assert_eq!(with(401, Certificate::NoCertificate).verdict().key, "password");
    assert_eq!(with(404, Certificate::NoCertificate).verdict().key, "context");
}

#[test]
fn descriptions_that_lack_what_browsers_need() {
    let answered = |answer| {
        let (offered_by, offer) = (Some(By::Client), Some(Lacks::default()));
        let bye = Some((By::Client, Duration::from_millis(20)));
        let signalling = Signalling { offered_by, offer, answer: Some(answer), bye, ..Signalling::default() };
        let media = Media { ice: None, received: (0, None), ..media() };
        Facts { signalling: Some(signalling), account: endpoint(&[]), ..of(media) }
    };
    names(&answered(Lacks::ICE), "ice_support", "set ice_support = yes (or webrtc = yes) in [1001] of pjsip.conf");
    names(&answered(Lacks::FINGERPRINT), "media_encryption", "our answer has no a=fingerprint");
    names(&answered(Lacks::FEEDBACK), "use_avpf", "our answer is without feedback");
    let mut everywhere = answered(Lacks::ICE);
    everywhere.media.as_mut().unwrap().ice_wanted = false;
    let verdict = everywhere.verdict();
    assert!(verdict.key == "icesupport" && verdict.sentence.ends_with("set icesupport = yes in rtp.conf"), "{verdict}");
    let mut offered = answered(Lacks::default());
    let signalling = offered.signalling.as_mut().unwrap();
    (signalling.offered_by, signalling.offer) = (Some(By::Host), Some(Lacks::FINGERPRINT));
    names(&offered, "media_encryption", "our offer has no a=fingerprint");
}

#[test]
fn handshakes_that_fail_name_the_keys_of_dtls() {
    let with = |dtls| of(Media { keys_due: true, dtls: Some(dtls), received: (0, None), ..media() });
    let failed = |failure| with(Dtls { has_heard: true, failure: Some(failure), ..Dtls::default() });
    names(&failed(Handshake::NotTrusted), "dtls_verify", "set dtls_verify = fingerprint");
    names(&failed(Handshake::Alert(42)), "dtls_cert_file", "does not take our certificate");
    names(&failed(Handshake::Other), "dtls_cert_file", "dtls_cipher");
    names(&with(Dtls::default()), "dtls_setup", "actpass");
    assert!(failed(Handshake::Alert(40)).verdict().sentence.contains("dtls_cipher in the endpoint's section"));
}

#[test]
fn addresses_and_nats_have_the_keys_of_the_transport_and_the_endpoint() {
    let checks = Ice { is_active: true, ..Ice::default() };
    let loopback = vec![SocketAddr::from(([127, 0, 0, 1], 10_000))];
    let peer_candidates = vec![SocketAddr::from(([192, 0, 2, 9], 1))];
    let only_loopback = Media { ice: Some(checks), candidates: loopback, peer_candidates, ..media() };
    names(&of(only_loopback), "bind", "media_address");
    let behind = Media {
        ice: None,
        signalled: Some(SocketAddr::from(([192, 168, 0, 9], 4000))),
        heard_from: Some(SocketAddr::from(([203, 0, 113, 9], 4100))),
        ..media()
    };
    names(&of(behind), "rtp_symmetric", "force_rport = yes and rewrite_contact = yes");
    let silent = Some(Duration::from_secs(60));
    let direct = Facts {
        account: endpoint(&[("direct_media", "yes")]),
        ..of(Media { ice: None, received: (9, silent), ..media() })
    };
    names(&direct, "direct_media", "set direct_media = no in [1001]");
}
