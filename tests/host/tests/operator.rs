//! Lines and answers for operators: what the log says of strangers, of sources that change, and of packets that are refused.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::rtp::{Instance, RTP, call};
use host_tests::{Host, Kind, Loading};

const MODULE: &str = "res_rtp_asterisk";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=32000\nrtpend=32999\n");
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

/// Has the channel read all that has come.
fn read_all(instance: &Instance) {
    while instance.is_readable(RTP, Duration::from_millis(100)) {
        instance.read(RTP);
    }
}

#[test]
fn lines_name_the_file_that_filters_know() {
    let host = host();
    let log = host.log();
    assert!(log.contains("VERBOSE[2] res_rtp_asterisk.c:"), "{log}");
    assert!(log.contains("lib.rs: RTP Allocating from port range 32000 -> 32999\n"), "{log}");
}

#[test]
fn sources_are_told_as_strict_rtp_learns_them() {
    let host = host();
    let (instance, mut phone) = call();
    phone.send(instance.local(), 1);
    read_all(&instance);
    let (log, address) = (host.log(), phone.address());
    for line in [
        format!("Strict RTP learning after remote address set to: {address}\n"),
        format!("Strict RTP switching to RTP remote address {address} as source\n"),
    ] {
        let told = log.lines().find(|told| told.ends_with(line.trim_end()));
        assert!(told.is_some_and(|told| told.starts_with("VERBOSE[4] ") && told.contains(": 0x")), "{line}{log}");
    }
}

#[test]
fn a_payload_type_that_was_not_negotiated_is_told_at_most_five_times_in_ten_seconds() {
    let host = host();
    let (instance, mut phone) = call();
    for _ in 0..20 {
        let packet = phone.packet(35, false, &[0; 20]);
        phone.rtp.send_to(&packet, instance.local()).expect("loopback");
        phone.rtp.send_to(&[0x80, 0, 0, 0], instance.local()).expect("loopback");
    }
    read_all(&instance);
    let (log, address) = (host.log(), phone.address());
    let unknown = log.matches(&format!("Unknown RTP codec 35 received from '{address}'\n")).count();
    let short = log.matches("RTP Read too short\n").count();
    assert!((unknown, short) == (5, 1), "{log}");
    assert!(log.contains("NOTICE res_rtp_asterisk.c:") && log.contains("WARNING res_rtp_asterisk.c:"), "{log}");
}

#[test]
fn refused_packets_have_a_command_of_their_own() {
    let host = host();
    let (instance, mut phone) = call();
    phone.send(instance.local(), 1);
    read_all(&instance);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let packet = phone.packet(0, false, &[1; 160]);
    let (answer, output) = host.command("rtp set debug on");
    assert!(answer == 0 && output == "RTP Debugging Enabled\n", "{output}");
    host.log();
    stranger.send_to(&packet, instance.local()).expect("loopback");
    read_all(&instance);
    assert!(!host.log().contains("Dropped RTP packet"));
    assert_eq!(host.command("rtp set debug off").1, "RTP Debugging Disabled\n");
    assert_eq!(host.command("rtp set detail on").1, "RTP Detail Enabled\n");
    stranger.send_to(&packet, instance.local()).expect("loopback");
    read_all(&instance);
    let (log, from) = (host.log(), stranger.local_addr().expect("bound"));
    assert!(log.contains(&format!("Dropped RTP packet from {from} (172 octets): source\n")), "{log}");
    assert_eq!(host.command("rtp set detail off").1, "RTP Detail Disabled\n");
}

#[test]
fn a_host_may_be_named_where_packets_are_shown() {
    let host = host();
    let (answer, output) = host.command("rtcp set debug ip localhost:4000");
    assert!(answer == 0 && output.starts_with("RTCP Debugging Enabled for address: "), "{output}");
    assert!(output.ends_with(":4000\n"), "{output}");
    let (answer, output) = host.command("rtcp set debug ip no-host.invalid");
    assert!(answer != 0 && output == "Lookup failed for 'no-host.invalid'\n", "{answer} {output}");
    host.command("rtcp set debug off");
}

#[test]
fn a_node_with_a_name_tells_it_where_sessions_are_shown() {
    let host = host();
    assert_eq!(host.load("res_http_websocket"), Loading::Loaded, "{}", host.log());
    let (instance, _phone) = call();
    let session = format!("rtp show session {}", instance.local().port());
    let commands = ["rtp show sessions", &session, "rtp show history", "websocket show sessions"];
    for command in commands {
        let (_, output) = host.command(command);
        assert!(!output.contains("Node: "), "{command}: {output}");
    }
    host.name(c"pbx-a");
    for command in commands {
        let (answer, output) = host.command(command);
        assert!(answer == 0 && output.starts_with("Node: pbx-a\n"), "{command}: {answer} {output}");
    }
}
