//! A phone with DTLS-SRTP and without ICE.

use super::{
    rtp::Instance,
    webrtc::{Identity, c_string, configure_dtls, dtls, ice},
};
use asterisk_sys as sys;
use host_tests::Kind;
use openssl::{
    hash::MessageDigest,
    ssl::{Ssl, SslContextBuilder, SslMethod, SslOptions},
};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

/// A phone with DTLS-SRTP as the client, without ICE.
pub struct DtlsPhone {
    pub socket: UdpSocket,
    identity: Identity,
}

impl DtlsPhone {
    pub fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        Self { socket, identity: Identity::new() }
    }

    /// Creates the instance that it calls, with `nat=comedia`; its SDP names that address.
    pub fn call(&self, directory: &Path, signalled: SocketAddr) -> Instance {
        let instance = Instance::new();
        let file = directory.join("asterisk.pem");
        Identity::new().write(&file);
        assert_eq!(configure_dtls(&instance, Kind::Newest, Some(&file)), 0);
        instance.set_property(sys::AST_RTP_PROPERTY_NAT, 1);
        let fingerprint = c_string(&self.identity.fingerprint(MessageDigest::sha256()));
        let dtls = dtls(&instance);
        // SAFETY: the instance is ours; the string lives during the call.
        unsafe {
            ice(&instance).stop.expect("there")(instance.as_ptr());
            dtls.set_setup.expect("there")(instance.as_ptr(), sys::AST_RTP_DTLS_SETUP_ACTIVE);
            let hash = sys::AST_RTP_DTLS_HASH_SHA256;
            dtls.set_fingerprint.expect("there")(instance.as_ptr(), hash, fingerprint.as_ptr());
        }
        instance.set_remote(signalled);
        instance.activate();
        instance
    }

    /// Whether the handshake completes and agrees on SRTP within five seconds, without retransmission.
    pub fn shakes_hands(&self, with: SocketAddr) -> bool {
        self.socket.connect(with).expect("loopback");
        self.socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let stream = client(&self.identity).connect(Datagrams(self.socket.try_clone().expect("a descriptor")));
        stream.is_ok_and(|stream| stream.ssl().selected_srtp_profile().is_some())
    }

    /// Sends a ClientHello and does not answer further.
    pub fn hello(&self) -> Vec<u8> {
        let mut hello = Hello::default();
        assert!(client(&self.identity).connect(&mut hello).is_err());
        hello.0
    }
}

fn client(identity: &Identity) -> Ssl {
    let mut context = SslContextBuilder::new(SslMethod::dtls()).expect("a context");
    context.set_certificate(&identity.certificate).expect("ours");
    context.set_private_key(&identity.key).expect("ours");
    context.set_tlsext_use_srtp("SRTP_AES128_CM_SHA1_80").expect("known");
    context.set_options(SslOptions::NO_QUERY_MTU);
    let mut ssl = Ssl::new(&context.build()).expect("a session");
    ssl.set_mtu(1200).expect("large enough");
    ssl
}

/// A connected socket with the interface that OpenSSL needs.
#[derive(Debug)]
struct Datagrams(UdpSocket);

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.0.send(datagram)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the first datagram that is sent.
#[derive(Debug, Default)]
struct Hello(Vec<u8>);

impl Read for Hello {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Hello {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.0 = datagram.to_vec();
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
