//! `sip.conf`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::{Protection, Site};
use crate::ports::Ports;

/// The general part. It binds to the wildcard address, as usual: Firefox pairs none of its addresses with one on
/// loopback. Asterisk 11 ignores `rtcp_mux`.
pub fn accounts(site: &Site, ports: &Ports, certificate: &Path, key: &Path) -> String {
    let (sip, plain) = site.as_phone.unwrap_or((ports.sip, ports.plain));
    format!(
        "[general]\ncontext = calls\nudpbindaddr = {sip}\nallowguest = no\nrealm = localhost\n\
         nat = force_rport,comedia\n{videosupport}{textsupport}{media_address}\n\
         [browser](!)\ntype = friend\nhost = dynamic\ntransport = ws,wss\nencryption = yes\navpf = yes\n\
         icesupport = yes\nrtcp_mux = {rtcp_mux}\ndtlsenable = yes\ndtlsverify = fingerprint\n\
         {certificate}dtlssetup = actpass\ndisallow = all\nallow = {carried}{codecs}{video}\n\n\
         [1001](browser)\nsecret = demo-1001\n[1002](browser)\nsecret = demo-1002\n\n\
         [2001]\ntype = friend\nhost = 127.0.0.1\nport = {plain}\ninsecure = invite,port\ndisallow = all\n\
         allow = {codecs}\n{encryption}{plain_certificate}{text}",
        encryption = encryption(site.plain, site.plain_has_feedback),
        plain_certificate = if site.plain.is_dtls() { named(certificate, key) } else { String::new() },
        media_address = if site.plain.has_ice() { media_address() } else { String::new() },
        sip = SocketAddr::new(site.listens.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), sip),
        codecs = site.codecs(),
        carried = if site.carriers { "g719," } else { "" },
        textsupport = if site.text { "textsupport = yes\n" } else { "" },
        text = if site.text { text_phones() } else { String::new() },
        videosupport = if site.video { "videosupport = yes\n" } else { "" },
        video = match (site.video, site.carriers) {
            (true, true) => ",mpeg4",
            (true, false) => ",h264",
            (false, _) => "",
        },
        rtcp_mux = if site.without_rtcp_mux { "no" } else { "yes" },
        certificate = if site.without_certificate { String::new() } else { named(certificate, key) },
    )
}

/// The accounts of text phones, with redundancy and without.
fn text_phones() -> String {
    let phone = |user: &str| {
        format!(
            "[{user}]\ntype = friend\nhost = dynamic\nsecret = demo-{user}\ninsecure = invite\ndisallow = all\nallow = ulaw,red,t140\n"
        )
    };
    phone("2003") + &phone("2004")
}

/// The address of candidates as that of the media too: otherwise linphone takes the difference for an ICE mismatch (RFC 8839
/// §4.2.5).
fn media_address() -> String {
    let outside = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Nothing is sent.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    outside.map(|address| format!("media_address = {}\n", address.ip())).unwrap_or_default()
}

/// The keys of an account for this protection.
fn encryption(protection: Protection, has_feedback: bool) -> String {
    let key = |name: &str, is_on: bool| format!("{name} = {}\n", if is_on { "yes" } else { "no" });
    let dtls =
        if protection.is_dtls() { "dtlsenable = yes\ndtlsverify = fingerprint\ndtlssetup = actpass\n" } else { "" };
    key("encryption", protection != Protection::None)
        + &key("icesupport", protection.has_ice())
        + &key("avpf", has_feedback)
        + "defaultuser = 2001\n"
        + dtls
}

fn named(certificate: &Path, key: &Path) -> String {
    format!("dtlscertfile = {}\ndtlsprivatekey = {}\n", certificate.display(), key.display())
}
