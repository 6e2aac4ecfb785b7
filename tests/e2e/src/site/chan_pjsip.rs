//! `pjsip.conf`.

use std::path::Path;

use super::Site;
use crate::ports::Ports;

/// The websocket's transports listen where the host's HTTP server does; their addresses are required and unused.
pub fn accounts(site: &Site, ports: &Ports, certificate: &Path, key: &Path) -> String {
    format!(
        "[udp]\ntype = transport\nprotocol = udp\nbind = 0.0.0.0:{sip}\n\
         [ws]\ntype = transport\nprotocol = ws\nbind = 0.0.0.0\n\
         [wss]\ntype = transport\nprotocol = wss\nbind = 0.0.0.0\n\n\
         [browser](!)\ntype = endpoint\ncontext = calls\ndisallow = all\nallow = ulaw,alaw{video}\n{webrtc}\
         dtls_cert_file = {certificate}\ndtls_private_key = {key}\n\n\
         {first}{second}\
         [2001]\ntype = endpoint\ncontext = calls\naors = 2001\ndisallow = all\nallow = ulaw,alaw\n\
         [2001]\ntype = aor\ncontact = sip:2001@127.0.0.1:{plain}\n",
        sip = ports.sip,
        plain = ports.plain,
        webrtc = webrtc(site),
        video = if site.video { ",vp8\nmax_video_streams = 1" } else { "" },
        certificate = certificate.display(),
        key = key.display(),
        first = browser("1001"),
        second = browser("1002"),
    )
}

/// `webrtc = yes` insists on rtcp-mux, so what else it stands for is said by itself where there is to be none.
fn webrtc(site: &Site) -> &'static str {
    if site.without_rtcp_mux {
        "use_avpf = yes\nmedia_encryption = dtls\ndtls_verify = fingerprint\ndtls_setup = actpass\nice_support = yes\n\
         media_use_received_transport = yes\nrtcp_mux = no\n"
    } else {
        "webrtc = yes\n"
    }
}

/// One account with its password. A page that was reloaded takes the place of what it was before.
fn browser(account: &str) -> String {
    format!(
        "[{account}](browser)\naors = {account}\nauth = {account}\n\
         [{account}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n\
         [{account}]\ntype = auth\nauth_type = userpass\nusername = {account}\npassword = demo-{account}\n\n"
    )
}
