//! `sip.conf`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::Site;
use crate::ports::Ports;

/// The general part. It binds to the wildcard address, as usual: Firefox pairs none of its addresses with one on
/// loopback. Asterisk 11 ignores `rtcp_mux`.
pub fn accounts(site: &Site, ports: &Ports, certificate: &Path, key: &Path) -> String {
    format!(
        "[general]\ncontext = calls\nudpbindaddr = {sip}\nallowguest = no\nrealm = localhost\n\
         nat = force_rport,comedia\n{videosupport}{media_address}\n\
         [browser](!)\ntype = friend\nhost = dynamic\ntransport = ws,wss\nencryption = yes\navpf = yes\n\
         icesupport = yes\nrtcp_mux = {rtcp_mux}\ndtlsenable = yes\ndtlsverify = fingerprint\n\
         {certificate}dtlssetup = actpass\ndisallow = all\nallow = {codecs}{video}\n\n\
         [1001](browser)\nsecret = demo-1001\n[1002](browser)\nsecret = demo-1002\n\n\
         [2001]\ntype = friend\nhost = 127.0.0.1\nport = {plain}\ninsecure = invite,port\ndisallow = all\n\
         allow = {codecs}\n{encryption}",
        sip = SocketAddr::new(site.listens.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), ports.sip),
        encryption = if site.encrypts_plain { ENCRYPTION } else { "" },
        media_address = if site.encrypts_plain { media_address() } else { String::new() },
        plain = ports.plain,
        codecs = site.codecs(),
        videosupport = if site.video { "videosupport = yes\n" } else { "" },
        video = if site.video { ",h264" } else { "" },
        rtcp_mux = if site.without_rtcp_mux { "no" } else { "yes" },
        certificate = if site.without_certificate { String::new() } else { named(certificate, key) },
    )
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

/// The keys that make an account use DTLS-SRTP over ICE.
const ENCRYPTION: &str = "encryption = yes\nicesupport = yes\ndtlsenable = yes\ndtlsverify = fingerprint\n\
                          dtlssetup = actpass\n";

fn named(certificate: &Path, key: &Path) -> String {
    format!("dtlscertfile = {}\ndtlsprivatekey = {}\n", certificate.display(), key.display())
}
