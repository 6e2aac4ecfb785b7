//! `pjsip.conf`.

use std::path::Path;

use super::Site;
use crate::ports::Ports;

/// The general part. WebSocket transports listen on the host's HTTP server; their addresses are required but not used.
pub fn accounts(site: &Site, ports: &Ports, certificate: &Path, key: &Path) -> String {
    format!(
        "[udp]\ntype = transport\nprotocol = udp\nbind = 0.0.0.0:{sip}\n\
         [ws]\ntype = transport\nprotocol = ws\nbind = 0.0.0.0\n\
         [wss]\ntype = transport\nprotocol = wss\nbind = 0.0.0.0\n\n\
         [browser](!)\ntype = endpoint\ncontext = calls\ndisallow = all\nallow = {codecs}{video}\n{webrtc}\
         {certificate}\n\
         {first}{second}\
         [2001]\ntype = endpoint\ncontext = calls\naors = 2001\ndisallow = all\nallow = {codecs}\n\
         [2001]\ntype = aor\ncontact = sip:2001@127.0.0.1:{plain}\n",
        sip = ports.sip,
        plain = ports.plain,
        codecs = site.codecs(),
        webrtc = webrtc(site),
        video = if site.video { ",vp8\nmax_video_streams = 1" } else { "" },
        certificate = if site.without_certificate { GENERATED.to_owned() } else { named(certificate, key) },
        first = browser("1001"),
        second = browser("1002"),
    )
}

/// The options of browsers. `webrtc = yes` requires rtcp-mux, so without rtcp-mux its other effects are
/// configured singly.
fn webrtc(site: &Site) -> &'static str {
    if site.without_rtcp_mux {
        "use_avpf = yes\nmedia_encryption = dtls\ndtls_verify = fingerprint\ndtls_setup = actpass\nice_support = yes\n\
         media_use_received_transport = yes\nrtcp_mux = no\n"
    } else {
        "webrtc = yes\n"
    }
}

/// Has a certificate made for each call, which is an elliptic-curve one.
const GENERATED: &str = "dtls_auto_generate_cert = yes\n";

fn named(certificate: &Path, key: &Path) -> String {
    format!("dtls_cert_file = {}\ndtls_private_key = {}\n", certificate.display(), key.display())
}

/// One account with its password. A new registration replaces the old one of a page that was reloaded.
fn browser(account: &str) -> String {
    format!(
        "[{account}](browser)\naors = {account}\nauth = {account}\n\
         [{account}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n\
         [{account}]\ntype = auth\nauth_type = userpass\nusername = {account}\npassword = demo-{account}\n\n"
    )
}
