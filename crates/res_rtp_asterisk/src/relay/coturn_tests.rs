//! Links to a real coturn on the loopback interface, and what coturn refuses.

mod as_root {
    use std::net::{SocketAddr, TcpListener, UdpSocket};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use ice::CandidateKind;
    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use openssl::x509::extension::SubjectAlternativeName;
    use openssl::x509::{X509, X509NameBuilder};
    use turn::{Event, Failure, MAX_DATAGRAM, Server};

    use crate::relay::link::{FromServer, Link, Trouble};
    use crate::relay::servers::Servers;
    use crate::relay::settings::{Relays, Secret};
    use crate::session::Session;
    use crate::transport::testing::with_settings;

    /// A coturn with its own directory and ports. Ends with the test.
    struct Coturn {
        process: Child,
        directory: PathBuf,
        port: u16,
        tls_port: u16,
    }

    impl Coturn {
        fn start(options: &[&str]) -> Self {
            let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let (port, tls_port) = (free(), free());
            let directory = std::env::temp_dir().join(format!("coturn-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            certificate(&directory);
            let file = |name: &str| directory.join(name).display().to_string();
            let process = Command::new("turnserver")
                .args(["-n", "--no-cli", "--no-stdout-log", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"])
                .args(["--allow-loopback-peers", "--realm=example.org", "--fingerprint", "--no-multicast-peers"])
                .args([format!("--listening-port={port}"), format!("--tls-listening-port={tls_port}")])
                .args([format!("--cert={}", file("certificate.pem")), format!("--pkey={}", file("key.pem"))])
                .args([format!("--log-file={}", file("log")), format!("--pidfile={}", file("pid"))])
                .arg(format!("--userdb={}", file("users")))
                .args(options)
                .current_dir(&directory)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("coturn is installed");
            let coturn = Self { process, directory, port, tls_port };
            let deadline = Instant::now() + Duration::from_secs(20);
            while std::net::TcpStream::connect(("127.0.0.1", coturn.tls_port)).is_err() {
                assert!(Instant::now() < deadline, "coturn does not listen");
                std::thread::sleep(Duration::from_millis(20));
            }
            coturn
        }

        fn with_a_user(options: &[&str]) -> Self {
            Self::start(&[&["--lt-cred-mech", "--user=pbx:word"], options].concat())
        }

        fn udp(&self) -> String {
            format!("turn:127.0.0.1:{}", self.port)
        }

        fn servers(&self, server: &str, username: &str, secret: Secret) -> Servers {
            let authorities = Some(self.directory.join("certificate.pem"));
            let servers = vec![server.parse::<Server>().unwrap()];
            let relays = Relays { servers, username: username.into(), secret, authorities, ..Relays::default() };
            let servers = Servers::new(relays);
            assert_eq!(servers.resolve(Instant::now(), 0, 1), super::super::servers::Resolved::Known);
            servers
        }

        fn link(&self, server: &str) -> Link {
            self.servers(server, "pbx", Secret::Password("word".into())).connect(Instant::now(), 0, None).unwrap()
        }
    }

    impl Drop for Coturn {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }

    fn certificate(directory: &std::path::Path) {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "localhost").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        let alternative =
            SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(alternative).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        std::fs::write(directory.join("certificate.pem"), builder.build().to_pem().unwrap()).unwrap();
        std::fs::write(directory.join("key.pem"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    }

    /// Lets the link work until `done` says so.
    fn run<T>(link: &mut Link, mut done: impl FnMut(&mut Link, FromServer, &[u8]) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; MAX_DATAGRAM];
        while Instant::now() < deadline {
            let received = link.receive(Instant::now(), &mut buffer);
            link.handle_timeout(Instant::now());
            if let Some(result) = done(link, received, &buffer) {
                return result;
            }
            if received == FromServer::Nothing {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        panic!("it does not come");
    }

    fn first_event(link: &mut Link) -> Result<Event, Trouble> {
        run(link, |link, _, _| link.poll_event())
    }

    fn allocated(link: &mut Link) -> SocketAddr {
        match first_event(link) {
            Ok(Event::Allocated { relayed, .. }) => relayed,
            other => panic!("{other:?}"),
        }
    }

    fn failure(mut link: Link) -> Failure {
        match first_event(&mut link) {
            Err(Trouble::Server(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    /// Sends in both directions, without a channel and with one, datagrams of lengths that need padding.
    fn both_ways(link: &mut Link) {
        let relayed = allocated(link);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let address = peer.local_addr().unwrap();
        for _ in 0..2 {
            for len in [1, 2, 3, 172, 1200] {
                let data = vec![len as u8; len];
                assert!(link.send(Instant::now(), address, &data));
                let arrived = run(link, |_, _, _| {
                    let mut buffer = [0; MAX_DATAGRAM];
                    peer.recv_from(&mut buffer).ok().map(|(got, from)| (buffer[..got].to_vec(), from))
                });
                assert_eq!(arrived, (data.clone(), relayed));
                peer.send_to(&data, relayed).unwrap();
                let back = run(link, |_, received, buffer| match received {
                    FromServer::Data { len, peer } => Some((buffer[..len].to_vec(), peer)),
                    _ => None,
                });
                assert_eq!(back, (data, address));
            }
            link.bind_channel(Instant::now(), address);
            let until = Instant::now() + Duration::from_millis(300);
            run(link, |_, _, _| (Instant::now() > until).then_some(()));
        }
        assert!(link.release(Instant::now()));
        assert!(matches!(first_event(link), Ok(Event::Released)));
    }

    #[test]
    #[ignore = "needs coturn"]
    fn media_goes_both_ways_over_udp_tcp_and_tls() {
        let coturn = Coturn::with_a_user(&[]);
        for server in [
            coturn.udp(),
            format!("turn:127.0.0.1:{}?transport=tcp", coturn.port),
            format!("turns:127.0.0.1:{}", coturn.tls_port),
        ] {
            println!("{server}");
            both_ways(&mut coturn.link(&server));
        }
    }

    #[test]
    #[ignore = "needs coturn"]
    fn passwords_from_a_shared_secret_are_those_that_coturn_expects() {
        let coturn = Coturn::start(&["--use-auth-secret", "--static-auth-secret=north"]);
        for (secret, user) in [("north", ""), ("north", "pbx")] {
            let servers = coturn.servers(&coturn.udp(), user, Secret::Shared(secret.into()));
            allocated(&mut servers.connect(Instant::now(), 0, None).unwrap());
        }
        let servers = coturn.servers(&coturn.udp(), "", Secret::Shared("south".into()));
        assert_eq!(failure(servers.connect(Instant::now(), 0, None).unwrap()), Failure::Unauthorised);
    }

    #[test]
    #[ignore = "needs coturn"]
    fn refusals_of_coturn_are_told_apart() {
        let coturn = Coturn::with_a_user(&["--user-quota=1"]);
        let wrong = coturn.servers(&coturn.udp(), "pbx", Secret::Password("another".into()));
        assert_eq!(failure(wrong.connect(Instant::now(), 0, None).unwrap()), Failure::Unauthorised);
        let mut first = coturn.link(&coturn.udp());
        allocated(&mut first);
        assert_eq!(failure(coturn.link(&coturn.udp())), Failure::Quota);
        let stranger =
            coturn.servers(&format!("turns:127.0.0.1:{}", coturn.tls_port), "pbx", Secret::Password("word".into()));
        let distrusting = Servers::new(Relays { authorities: None, ..stranger.relays().clone() });
        match first_event(&mut distrusting.connect(Instant::now(), 0, None).unwrap()) {
            Err(Trouble::Connection(error)) => assert!(error.to_string().contains("certificate"), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the session's next description has a relayed candidate, or none.
    fn described(session: &Session, wanted: bool) -> Option<SocketAddr> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if wanted {
                session.take_relay();
            }
            let candidates = session.peek(|state| state.transport().offered_candidates()).unwrap();
            let relayed = candidates.iter().find(|candidate| candidate.kind == CandidateKind::Relayed);
            if relayed.is_some() == wanted {
                return relayed.map(|candidate| candidate.addr);
            }
            assert!(Instant::now() < deadline, "a relayed candidate is wanted: {wanted}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    #[ignore = "needs coturn"]
    fn a_call_whose_server_dies_is_described_with_an_address_of_the_next_server() {
        let (first, second) = (Coturn::with_a_user(&[]), Coturn::with_a_user(&[]));
        let server = |coturn: &Coturn| format!("turnaddr=turn:127.0.0.1:{}?transport=tcp\n", coturn.port);
        let servers = [&first, &second].map(server).concat();
        with_settings(&format!("{servers}turnusername=pbx\nturnpassword=word\nturnpool=1\n"), |session| {
            let lost = described(session, true);
            drop(first);
            described(session, false);
            assert_ne!(described(session, true), lost);
        });
    }

    #[test]
    #[ignore = "needs coturn"]
    fn a_stale_nonce_costs_no_more_than_a_round_trip() {
        let coturn = Coturn::with_a_user(&["--stale-nonce=1"]);
        let mut link = coturn.link(&coturn.udp());
        allocated(&mut link);
        std::thread::sleep(Duration::from_millis(2100));
        assert!(link.release(Instant::now()));
        assert!(matches!(first_event(&mut link), Ok(Event::Released)));
    }
}
