//! A TURN server for the tests: it answers one request at a time, as the test wants it to.

use std::net::SocketAddr;

use stun_types::attribute::{AlternateServer, ErrorCode, Nonce, Realm, XorMappedAddress};
use stun_types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageWriteExt, MessageWriteVec, Method,
};
use stun_types::prelude::*;
use turn_client_proto::types::attribute::{Lifetime, XorPeerAddress, XorRelayedAddress};

use crate::Credentials;

pub const ALLOCATE: Method = Method::new(0x0003);
pub const REFRESH: Method = Method::new(0x0004);
pub const CREATE_PERMISSION: Method = Method::new(0x0008);
pub const CHANNEL_BIND: Method = Method::new(0x0009);

pub const RELAYED: &str = "203.0.113.1:50000";
pub const MAPPED: &str = "198.51.100.7:4000";
const REALM: &str = "example.org";

pub struct Server {
    password: String,
    nonce: &'static str,
    /// Seconds that the server grants.
    pub lifetime: u32,
}

pub fn credentials() -> Credentials {
    Credentials { username: "pbx".into(), password: "secret".into() }
}

impl Server {
    pub fn new(password: &str) -> Self {
        Self { password: password.into(), nonce: "first", lifetime: 600 }
    }

    /// From now on the nonce is another.
    pub fn change_nonce(&mut self) {
        self.nonce = "second";
    }

    /// Answers a request; `None` for an indication and ChannelData.
    pub fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let message = Message::from_bytes(request).ok()?;
        if !message.has_class(MessageClass::Request) {
            return None;
        }
        let Ok(nonce) = message.attribute::<Nonce>() else { return Some(self.challenge(&message, 401)) };
        if message.validate_integrity(&self.key().into()).is_err() {
            return Some(self.challenge(&message, 401));
        }
        if nonce.nonce() != self.nonce {
            return Some(self.challenge(&message, 438));
        }
        Some(self.grant(&message))
    }

    /// Refuses a request, signed if the request was.
    pub fn refuse(&self, request: &[u8], code: u16, alternate: Option<SocketAddr>) -> Vec<u8> {
        let message = Message::from_bytes(request).unwrap();
        let mut answer = Message::builder_error(&message, MessageWriteVec::new());
        answer.add_attribute(&ErrorCode::builder(code).build().unwrap()).unwrap();
        if let Some(alternate) = alternate {
            answer.add_attribute(&AlternateServer::new(alternate)).unwrap();
        }
        if message.attribute::<Nonce>().is_ok() {
            answer.add_message_integrity(&self.key().into(), IntegrityAlgorithm::Sha1).unwrap();
        }
        answer.finish()
    }

    fn challenge(&self, message: &Message<'_>, code: u16) -> Vec<u8> {
        let mut answer = Message::builder_error(message, MessageWriteVec::new());
        answer.add_attribute(&ErrorCode::builder(code).build().unwrap()).unwrap();
        answer.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        answer.add_attribute(&Nonce::new(self.nonce).unwrap()).unwrap();
        answer.finish()
    }

    fn grant(&self, message: &Message<'_>) -> Vec<u8> {
        let mut answer = Message::builder_success(message, MessageWriteVec::new());
        if message.method() == ALLOCATE {
            let id = message.transaction_id();
            answer.add_attribute(&XorRelayedAddress::new(RELAYED.parse().unwrap(), id)).unwrap();
            answer.add_attribute(&XorMappedAddress::new(MAPPED.parse().unwrap(), id)).unwrap();
        }
        let asked = message.attribute::<Lifetime>().map_or(0, |lifetime| lifetime.seconds());
        answer.add_attribute(&Lifetime::new(asked.min(self.lifetime))).unwrap();
        answer.add_message_integrity(&self.key().into(), IntegrityAlgorithm::Sha1).unwrap();
        answer.finish()
    }

    fn key(&self) -> LongTermKeyCredentials {
        LongTermKeyCredentials::new("pbx".into(), self.password.clone(), REALM.into())
    }
}

/// A Data indication: what a peer without a channel has sent.
pub fn indication(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut message = Message::builder_indication(Method::new(0x0007), MessageWriteVec::new());
    let id = message.transaction_id();
    message.add_attribute(&XorPeerAddress::new(peer, id)).unwrap();
    message.add_attribute(&turn_client_proto::types::attribute::Data::new(data)).unwrap();
    message.finish()
}

/// The method of a message; `None` for ChannelData.
pub fn method(message: &[u8]) -> Option<Method> {
    Message::from_bytes(message).ok().map(|message| message.method())
}
