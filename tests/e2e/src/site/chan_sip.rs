//! `sip.conf`.

use std::path::Path;

use super::Site;
use crate::ports::Ports;

/// The general part. It binds to the wildcard address, as usual: Firefox pairs none of its addresses with one on
/// loopback. Asterisk 11 ignores `rtcp_mux`.
pub fn accounts(site: &Site, ports: &Ports, certificate: &Path, key: &Path) -> String {
    format!(
        "[general]\ncontext = calls\nudpbindaddr = 0.0.0.0:{sip}\nallowguest = no\nrealm = localhost\n\
         nat = force_rport,comedia\n{videosupport}\n\
         [browser](!)\ntype = friend\nhost = dynamic\ntransport = ws,wss\nencryption = yes\navpf = yes\n\
         icesupport = yes\nrtcp_mux = {rtcp_mux}\ndtlsenable = yes\ndtlsverify = fingerprint\n\
         {certificate}dtlssetup = actpass\ndisallow = all\nallow = {codecs}{video}\n\n\
         [1001](browser)\nsecret = demo-1001\n[1002](browser)\nsecret = demo-1002\n\n\
         [2001]\ntype = friend\nhost = 127.0.0.1\nport = {plain}\ninsecure = invite,port\ndisallow = all\n\
         allow = {codecs}\n",
        sip = ports.sip,
        plain = ports.plain,
        codecs = site.codecs(),
        videosupport = if site.video { "videosupport = yes\n" } else { "" },
        video = if site.video { ",h264" } else { "" },
        rtcp_mux = if site.without_rtcp_mux { "no" } else { "yes" },
        certificate = if site.without_certificate { String::new() } else { named(certificate, key) },
    )
}

fn named(certificate: &Path, key: &Path) -> String {
    format!("dtlscertfile = {}\ndtlsprivatekey = {}\n", certificate.display(), key.display())
}
