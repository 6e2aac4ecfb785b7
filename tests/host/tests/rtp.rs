//! res_rtp_asterisk between chan_sip and a plain SIP phone: no ICE, no DTLS, no SRTP.

mod common;

use common::{
    HostThread, descriptors,
    rtp::{FRAME_LEN, Frame, Instance, Phone, RTCP, RTP, call},
    threads,
};
use host_tests::{Host, Kind, Loading};
use std::time::{Duration, Instant};

const MODULE: &str = "res_rtp_asterisk";

fn host(configuration: &str) -> Host {
    let host = Host::start(Kind::Newest);
    let general = "[general]\nrtpstart=30000\nrtpend=30999\nrtcpinterval=500\n";
    host.configure("rtp.conf", &format!("{general}{configuration}\n"));
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

#[test]
fn audio_goes_both_ways() {
    let _host = host("strictrtp=no");
    let (instance, mut phone) = call();
    let mut written_before = Instant::now();
    let mut before = send_and_receive(&instance, &phone, 1);
    for number in 1..10 {
        let written = Instant::now();
        let packet = send_and_receive(&instance, &phone, 1 + number);
        assert_eq!(packet.sequence_number, before.sequence_number.wrapping_add(1));
        // After a pause, as a busy machine makes, timestamps follow the clock.
        if written_before.elapsed() < Duration::from_millis(50) {
            assert_eq!(packet.timestamp, before.timestamp.wrapping_add(FRAME_LEN as u32));
        }
        assert_eq!((packet.ssrc, packet.payload_type, packet.marker), (before.ssrc, 0, false));
        (written_before, before) = (written, packet);
    }
    for value in 1..10 {
        phone.send(instance.local(), value);
        let payload = instance.read_until(Frame::voice).expect("audio");
        assert_eq!(payload, [value; FRAME_LEN]);
    }
    let stats = instance.stats();
    assert_eq!((stats.txcount, stats.rxcount), (10, 9));
    assert_eq!((stats.local_ssrc, stats.remote_ssrc), (before.ssrc, phone.ssrc));
}

fn send_and_receive(instance: &Instance, phone: &Phone, value: u8) -> common::rtp::Packet {
    instance.write(value);
    let packet = phone.receive();
    assert_eq!(packet.payload, [value; FRAME_LEN]);
    assert_eq!(packet.from, instance.local(), "symmetric (RFC 4961)");
    packet
}

#[test]
fn ports_are_even_and_within_rtp_conf() {
    let _host = host("");
    let instances: Vec<_> = (0..20).map(|_| Instance::new()).collect();
    for instance in &instances {
        let port = instance.local().port();
        assert!(port % 2 == 0 && (30_000..=30_999).contains(&port), "{port}");
        assert!(instance.descriptor(RTP) >= 0 && instance.descriptor(RTCP) >= 0);
        assert_ne!(instance.descriptor(RTP), instance.descriptor(RTCP));
    }
}

#[test]
fn nothing_received_hangs_up() {
    let _host = host("strictrtp=no");
    let (instance, mut phone) = call();
    let mut datagrams: Vec<Vec<u8>> = vec![vec![], vec![0], vec![0x80; 11], vec![0x16; 40], vec![0xff; 1500]];
    datagrams.push(vec![0x8f, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]); // fifteen CSRCs announced, none present
    datagrams.push(vec![0x90, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]); // an extension announced, none present
    datagrams.push(vec![0xa0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 200]); // more padding than packet
    datagrams.push(vec![0x00, 0x01, 0, 0x40, 0x21, 0x12, 0xa4, 0x42]); // a STUN header, cut off
    for datagram in &datagrams {
        for (which, address) in [(RTP, instance.local()), (RTCP, instance.local_rtcp())] {
            phone.rtp.send_to(datagram, address).expect("loopback");
            if instance.is_readable(which, Duration::from_millis(200)) {
                instance.read(which);
            }
        }
    }
    phone.send(instance.local(), 7);
    assert_eq!(instance.read_until(Frame::voice).expect("audio after all that"), [7; FRAME_LEN]);
}

#[test]
fn talk_with_a_payload_type_of_64_to_95_is_heard_from_its_first_packet_on() {
    let _host = host("strictrtp=no");
    let (instance, mut phone) = call();
    instance.map(72, c"PCMU", 8000);
    for value in 1..4 {
        // With the marker bit the second octet is that of a sender report.
        let packet = phone.packet(72, value == 1, &[value; FRAME_LEN]);
        phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        assert_eq!(instance.read_until(Frame::voice).expect("audio"), [value; FRAME_LEN]);
    }
}

#[test]
fn a_report_at_the_port_of_rtp_is_a_report() {
    let _host = host("strictrtp=no");
    let (instance, phone) = call();
    let ssrc = send_and_receive(&instance, &phone, 1).ssrc;
    let mut report = vec![0x81, 201, 0, 7];
    report.extend_from_slice(&phone.ssrc.to_be_bytes());
    report.extend_from_slice(&ssrc.to_be_bytes());
    report.extend_from_slice(&[64, 0, 0, 3]); // a quarter lost since the last report, three in total
    report.extend_from_slice(&[0; 16]);
    phone.rtp.send_to(&report, instance.local()).expect("loopback");
    assert!(common::eventually(|| {
        if instance.is_readable(RTP, Duration::from_millis(1)) {
            instance.read(RTP);
        }
        instance.stats().txploss == 3
    }));
}

#[test]
fn a_digit_is_sent_as_telephone_events() {
    let _host = host("strictrtp=no");
    let (instance, phone) = call();
    instance.map(101, c"telephone-event", 8000);
    send_and_receive(&instance, &phone, 1);
    instance.dtmf_begin(b'5');
    let begin = phone.receive();
    assert_eq!((begin.payload_type, begin.marker, begin.payload[0]), (101, true, 5));
    instance.dtmf_end(b'5', 160);
    let ends: Vec<_> = std::iter::repeat_with(|| phone.receive()).filter(is_end_of_event).take(3).collect();
    for end in &ends {
        // All three packets are equal (RFC 4733 §2.5.1.4): 160 ms are 1280 timestamp units.
        assert_eq!((end.payload[0], end.timestamp), (5, begin.timestamp));
        assert_eq!(u16::from_be_bytes([end.payload[2], end.payload[3]]), 1280);
    }
}

fn is_end_of_event(packet: &common::rtp::Packet) -> bool {
    packet.payload_type == 101 && packet.payload[1] & 0x80 != 0
}

#[test]
fn a_digit_is_received_once() {
    let _host = host("strictrtp=no");
    let (instance, mut phone) = call();
    instance.map(101, c"telephone-event", 8000);
    let mut digits = Vec::new();
    for (duration, end) in [(160_u16, false), (320, false), (480, false), (640, true), (640, true), (640, true)] {
        let [high, low] = duration.to_be_bytes();
        let packet = phone.packet(101, duration == 160, &[9, if end { 0x8a } else { 0x0a }, high, low]);
        phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        if instance.is_readable(RTP, Duration::from_secs(1)) {
            digits.extend(instance.read(RTP));
        }
    }
    assert_eq!(digits, [Frame::DigitBegin(b'9'), Frame::DigitEnd(b'9')]);
}

#[test]
fn reports_go_both_ways() {
    let host = host("strictrtp=no");
    let (instance, mut phone) = call();
    let local_ssrc = send_and_receive(&instance, &phone, 1).ssrc;
    phone.send(instance.local(), 1);
    assert!(instance.read_until(Frame::voice).is_some());
    let mut buffer = [0; 2048];
    let mut length = 0;
    for _ in 0..40 {
        // The channel goes on writing; RTCP must work even if it does not read.
        instance.write(1);
        phone.rtcp.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        if let Ok((got, from)) = phone.rtcp.recv_from(&mut buffer) {
            assert_eq!(from, instance.local_rtcp());
            length = got;
            break;
        }
    }
    let report = &buffer[..length];
    assert!(length >= 28, "no report within four seconds");
    assert_eq!((report[0] >> 6, report[1]), (2, 200), "a sender report comes first (RFC 3550 §6.1)");
    assert_eq!(report[4..8], local_ssrc.to_be_bytes());
    let sdes = (usize::from(u16::from_be_bytes([report[2], report[3]])) + 1) * 4;
    assert_eq!(report[sdes + 1], 202, "and a CNAME with it");

    // Answer with a receiver report about the sent packets, with the time of that sender report.
    let mut answer = vec![0x81, 201, 0, 7];
    answer.extend_from_slice(&phone.ssrc.to_be_bytes());
    answer.extend_from_slice(&local_ssrc.to_be_bytes());
    answer.extend_from_slice(&[64, 0, 0, 3]); // a quarter lost since the last report, three in total
    answer.extend_from_slice(&[0, 0, 0, 9]); // highest sequence number
    answer.extend_from_slice(&[0, 0, 0, 80]); // jitter, 10 ms
    answer.extend_from_slice(&report[10..14]); // the middle of the NTP time (LSR)
    answer.extend_from_slice(&[0; 4]); // no delay since that report (DLSR)
    phone.rtcp.send_to(&answer, instance.local_rtcp()).expect("loopback");
    assert!(common::eventually(|| {
        if instance.is_readable(RTCP, Duration::from_millis(1)) {
            instance.read(RTCP);
        }
        instance.stats().txploss == 3
    }));
    let stats = instance.stats();
    assert!(stats.rtt >= 0.0 && stats.rtt < 5.0, "{}", stats.rtt);
    let events = host.manager_events();
    assert!(events.contains("Event: RTCPSent\r\n") && events.contains("Event: RTCPReceived\r\n"), "{events}");
}

/// Whether one of the RTCP packets that arrive within this time has a BYE (RFC 3550 §6.6).
fn hears_goodbye(phone: &Phone, within: Duration) -> bool {
    let end = Instant::now() + within;
    let mut buffer = [0; 2048];
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        phone.rtcp.set_read_timeout(Some(left)).expect("a timeout");
        if let Ok(length) = phone.rtcp.recv(&mut buffer)
            && packet_types(&buffer[..length]).contains(&203)
        {
            return true;
        }
    }
    false
}

fn packet_types(mut compound: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, packet_type, high, low, ..] = *compound {
        types.push(packet_type);
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        compound = compound.get(length..).unwrap_or_default();
    }
    types
}

const SOON: Duration = Duration::from_secs(5);

/// The orders in which chan_sip ends a call: by either side, in a hold, or with the instance alone.
#[test]
fn rtcp_ends_with_a_goodbye_however_the_call_ends() {
    let _host = host("strictrtp=no");
    let begun = || {
        let (instance, phone) = call();
        send_and_receive(&instance, &phone, 1);
        (instance, phone)
    };
    let (instance, phone) = begun();
    instance.stop();
    assert!(hears_goodbye(&phone, SOON), "chan_sip keeps the instance for 32 s");
    instance.stop();
    drop(instance);
    assert!(!hears_goodbye(&phone, Duration::from_millis(100)), "once");

    let (instance, phone) = begun();
    drop(instance);
    assert!(hears_goodbye(&phone, SOON), "without a stop");

    for leads_nowhere in [false, true] {
        let (instance, phone) = begun();
        let address = phone.address();
        instance.set_remote(if leads_nowhere { ([0, 0, 0, 0], address.port()).into() } else { address });
        instance.stop();
        instance.activate();
        assert!(!hears_goodbye(&phone, Duration::from_millis(300)), "a hold is no end");
        instance.stop();
        assert!(hears_goodbye(&phone, SOON), "held; the address leads nowhere: {leads_nowhere}");
    }

    let (instance, phone) = call();
    instance.stop();
    drop(instance);
    assert!(!hears_goodbye(&phone, Duration::from_millis(100)), "nothing was sent (RFC 3550 §6.3.7)");

    let (instance, phone) = (Instance::new(), Phone::new());
    instance.set_remote(phone.address());
    instance.write(1);
    std::thread::sleep(Duration::from_millis(1100));
    instance.stop();
    assert!(hears_goodbye(&phone, SOON), "chan_sip never activates video and text");

    let (instance, mut phone) = call();
    phone.send(instance.local(), 1);
    assert!(instance.read_until(Frame::voice).is_some());
    phone.rtcp.recv(&mut [0; 2048]).expect("a report to a phone that alone has talked");
    instance.stop();
    assert!(hears_goodbye(&phone, SOON), "only reports were sent");
}

#[test]
fn a_call_goes_on_through_reloads() {
    let host = host("strictrtp=no");
    let (instance, mut phone) = call();
    let begin = "[general]\nrtpstart=30000\nrtpend=";
    for (value, file) in (1..).zip([
        Some(format!("{begin}30999\nrtcpinterval=700\nstrictrtp=yes\n")),
        Some(format!("{begin}20\nprobation=many\nicesupport=perhaps\nrtpstrat=7\n")),
        Some("[general\nrtpstart=1".to_owned()),
        None,
        Some(format!("{begin}30999\n")),
    ]) {
        match file {
            Some(text) => host.configure("rtp.conf", &text),
            None => std::fs::remove_file(host.directory().join("rtp.conf")).expect("it was there"),
        }
        assert_eq!(host.reload(MODULE), 0);
        send_and_receive(&instance, &phone, value);
        phone.send(instance.local(), value);
        assert_eq!(instance.read_until(Frame::voice).expect("audio"), [value; FRAME_LEN]);
    }
    let log = host.log();
    for said in ["probation = 'many'", "icesupport = 'perhaps'", "unknown key 'rtpstrat'", "settings stay as they are"]
    {
        assert!(log.contains(said), "{said} in {log}");
    }
}

#[test]
fn without_rtp_conf_a_reload_keeps_the_ports() {
    let host = host("");
    std::fs::remove_file(host.directory().join("rtp.conf")).expect("it was there");
    assert_eq!(host.reload(MODULE), 0);
    for _ in 0..5 {
        assert!((30_000..31_000).contains(&Instance::new().local().port()));
    }
}

/// A range of ten pairs has room for ten calls, and for the next one as soon as one has ended.
#[test]
fn a_full_range_of_ports_is_named_and_the_last_pair_is_found() {
    let host = host("");
    host.configure("rtp.conf", "[general]\nrtpstart=30500\nrtpend=30519\n");
    assert_eq!(host.reload(MODULE), 0);
    let mut calls = Vec::from_iter(std::iter::from_fn(Instance::try_new));
    assert!((1..=10).contains(&calls.len()), "{}", calls.len());
    let log = host.log();
    assert!(log.contains("rtpstart = 30500 to rtpend = 30519 (rtp.conf)"), "{log}");
    let freed = calls.swap_remove(calls.len() / 2).local().port();
    assert_eq!(Instance::new().local().port(), freed);
    let settings = host.command("rtp show settings").1;
    assert!(settings.contains("none free for 1 calls"), "{settings}");
}

#[test]
fn strict_rtp_keeps_a_stranger_out() {
    let _host = host("strictrtp=yes");
    let (instance, mut phone) = call();
    for _ in 0..8 {
        phone.send(instance.local(), 1);
        assert!(instance.read_until(Frame::voice).is_some());
    }
    let mut stranger = Phone::new();
    for value in 50..53 {
        stranger.send(instance.local(), value);
        if instance.is_readable(RTP, Duration::from_millis(200)) {
            assert_eq!(instance.read(RTP), []);
        }
        phone.send(instance.local(), 2);
        assert_eq!(instance.read_until(Frame::voice).expect("audio"), [2; FRAME_LEN]);
    }
}

/// A Binding request without attributes (RFC 8489 §5).
const BINDING: &[u8] = b"\0\x01\0\0\x21\x12\xa4\x42twelve bytes";

/// Returns what the phone's socket has received after `times` such requests from it.
fn answers(instance: &Instance, socket: &std::net::UdpSocket, times: usize) -> Vec<Vec<u8>> {
    for _ in 0..times {
        socket.send_to(BINDING, instance.local()).expect("loopback");
    }
    while instance.is_readable(RTP, Duration::from_millis(100)) {
        assert_eq!(instance.read(RTP), []);
    }
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let mut buffer = [0; 2048];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())).collect()
}

#[test]
fn a_phone_without_ice_has_its_binding_request_answered_and_a_stranger_has_not() {
    let _host = host("strictrtp=yes");
    let (instance, phone) = call();
    let [answer] = &answers(&instance, &phone.rtp, 1)[..] else { panic!("one answer") };
    assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &BINDING[8..]));
    assert_eq!(answer[20..28], [0, 0x20, 0, 8, 0, 1, answer[26], answer[27]], "XOR-MAPPED-ADDRESS of IPv4");
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, phone.address().port());
    assert_eq!(answers(&instance, &Phone::new().rtp, 3), Vec::<Vec<u8>>::new());
    let few = answers(&instance, &phone.rtp, 100).len();
    assert!(few < 10, "{few} answers");
}

#[test]
fn its_own_packets_are_not_heard() {
    let _host = host("strictrtp=no");
    let (instance, mut phone) = call();
    instance.set_remote(instance.local());
    for value in 1..5 {
        instance.write(value);
        assert!(instance.is_readable(RTP, Duration::from_secs(1)), "our own packet came back");
        assert_eq!(instance.read(RTP), []);
    }
    phone.send(instance.local(), 9);
    assert_eq!(instance.read_until(Frame::voice).expect("audio"), [9; FRAME_LEN]);
    assert_eq!(instance.stats().rxcount, 1);
}

#[test]
fn behind_a_nat_media_goes_where_it_comes_from() {
    let _host = host("strictrtp=no");
    let instance = Instance::new();
    instance.set_property(sys_nat(), 1);
    // The phone is not at the address in the SDP.
    let nowhere = Phone::new();
    instance.set_remote(nowhere.address());
    let mut phone = Phone::new();
    phone.send(instance.local(), 1);
    assert!(instance.read_until(Frame::voice).is_some());
    assert_eq!(instance.remote(), phone.address());
    send_and_receive(&instance, &phone, 3);
}

/// The SDP that ends a hold names the address that media has come from: the address is unchanged, but the hold is over.
#[test]
fn audio_comes_back_after_hold_though_the_phone_stayed_where_it_was() {
    let _host = host("strictrtp=no");
    for nat in [0, 1] {
        let (instance, mut phone) = call();
        instance.set_property(sys_nat(), nat);
        send_and_receive(&instance, &phone, 1);
        instance.set_remote(phone.address());
        instance.stop();
        instance.activate();
        instance.write(2);
        phone.send(instance.local(), 3);
        assert!(instance.read_until(Frame::voice).is_some(), "music on hold of the phone");
        instance.set_remote(phone.address());
        send_and_receive(&instance, &phone, 4);
    }
}

fn sys_nat() -> asterisk_sys::ast_rtp_property {
    asterisk_sys::AST_RTP_PROPERTY_NAT
}

#[test]
fn the_module_stays_while_a_call_is_up_and_nothing_is_left_afterwards() {
    let host = host("");
    let before = common::settled_footprint();
    for _ in 0..10 {
        let (instance, phone) = call();
        send_and_receive(&instance, &phone, 1);
        assert!(!host.unload(MODULE));
        assert!(!host.unload_forced(MODULE), "it was unloaded, though a thread of a call runs its code");
        send_and_receive(&instance, &phone, 1);
    }
    assert!(
        common::eventually(|| (descriptors(), threads()) == before),
        "{:?}, {before:?}",
        (descriptors(), threads())
    );
    assert_eq!(host.objects_alive(), 0);
    assert!(host.unload(MODULE), "{}", host.log());
    assert!(!host.is_mapped(MODULE));
}

#[test]
fn a_host_thread_outlives_the_module() {
    let host = host("strictrtp=no");
    let one_call = || {
        let (instance, mut phone) = call();
        send_and_receive(&instance, &phone, 1);
        phone.send(instance.local(), 1);
        assert!(instance.read_until(Frame::voice).is_some());
    };
    let thread = HostThread::start();
    thread.run(one_call);
    assert!(host.unload(MODULE), "{}", host.log());
    assert!(!host.is_mapped(MODULE));
    thread.end();
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    HostThread::start().run(one_call);
}

#[test]
fn commands_answer_and_a_broken_value_is_named() {
    let host = host("rtpchecksums=perhaps\ndtmftimeout=soon");
    let log = host.log();
    assert!(log.contains("rtp.conf, line 5") && log.contains("rtpchecksums"), "{log}");
    assert!(log.contains("rtp.conf, line 6") && log.contains("dtmftimeout"), "{log}");
    for line in
        ["rtp set debug on", "rtp set debug off", "rtcp set debug on", "rtcp set debug off", "rtcp set stats on"]
    {
        let (answer, output) = host.command(line);
        assert!(answer == 0 && !output.is_empty(), "{line}: {answer} {output}");
    }
    let (answer, output) = host.command("rtp set debug ip 192.0.2.1");
    assert!(answer == 0 && output.contains("192.0.2.1"), "{output}");
    host.configure("rtp.conf", "[general]\nrtpstart=31000\nrtpend=31999\n");
    assert_eq!(host.reload(MODULE), 0);
    assert!((31_000..32_000).contains(&Instance::new().local().port()));
}
