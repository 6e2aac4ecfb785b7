//! A call through a [`Dialect`], and what changes on its way.

use sip_dialect::{Dialect, Outcome, Rules};

use crate::common::{Difference, difference};

/// One dialog between a client and the host.
pub struct Call {
    pub dialect: Dialect,
    sequence: u32,
}

pub const NO_CHANGE: Difference = (String::new(), String::new());

const HOST_CONTACT: &str = "Contact: <sip:asterisk@192.0.2.1:5060;transport=WS>\r\n";

impl Call {
    pub fn new(rules: Rules) -> Self {
        Self { dialect: Dialect::new(rules), sequence: 1 }
    }

    /// An INVITE of the client.
    pub fn client_offers(&mut self, description: &str) -> Difference {
        self.sequence += 1;
        let message = self.request("INVITE", SDP, description);
        let outcome = self.dialect.handle_client(message.as_bytes());
        changed(&message, outcome)
    }

    /// The host's response to the client's last INVITE.
    pub fn host_answers(&mut self, description: &str) -> Difference {
        let message = self.answer("SIP/2.0 200 OK", &format!("{HOST_CONTACT}{SDP}"), description);
        let outcome = self.dialect.handle_host(message.as_bytes());
        changed(&message, outcome)
    }

    /// An INVITE of the host.
    pub fn host_offers(&mut self, description: &str) -> Difference {
        self.sequence += 1;
        let message = self.request("INVITE", &format!("{HOST_CONTACT}{SDP}"), description);
        let outcome = self.dialect.handle_host(message.as_bytes());
        changed(&message, outcome)
    }

    /// The client's response to the host's last INVITE.
    pub fn client_answers(&mut self, description: &str) -> Difference {
        let message = self.response("", description);
        let outcome = self.dialect.handle_client(message.as_bytes());
        changed(&message, outcome)
    }

    /// A request in the dialog.
    pub fn request(&self, method: &str, headers: &str, body: &str) -> String {
        self.message(&format!("{method} sip:echo@192.0.2.1 SIP/2.0"), method, headers, body)
    }

    /// A client's 200 (OK) to an INVITE.
    pub fn response(&self, headers: &str, body: &str) -> String {
        self.answer("SIP/2.0 200 OK", &format!("{headers}{SDP}"), body)
    }

    /// A response to an INVITE.
    pub fn answer(&self, status: &str, headers: &str, body: &str) -> String {
        self.message(status, "INVITE", headers, body)
    }

    fn message(&self, start: &str, method: &str, headers: &str, body: &str) -> String {
        format!(
            "{start}\r\nVia: SIP/2.0/WS client.invalid;branch=z9hG4bK{0}\r\nFrom: <sip:1001@192.0.2.1>;tag=a\r\n\
             To: <sip:echo@192.0.2.1>;tag=b\r\nCall-ID: call@client.invalid\r\nCSeq: {0} {method}\r\n{headers}\
             Content-Length: {1}\r\n\r\n{body}",
            self.sequence,
            body.len()
        )
    }
}

const SDP: &str = "Content-Type: application/sdp\r\n";

fn changed(before: &str, outcome: Outcome) -> Difference {
    match outcome {
        Outcome::Unchanged => NO_CHANGE,
        Outcome::Changed { message, .. } => difference(before, &message),
        other => panic!("{other:?}"),
    }
}
