//! Promises that hold for any messages: those of the fuzz target, from descriptions put together by chance.

use proptest::prelude::*;
use sip_dialect::fuzzing;

/// Lines that some rule is about, good and bad ones.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "s=Doubango Telecom - chrome",
            "o=- 1 0 IN IP4 a",
            "o=- 1 7 IN IP4 a",
            "o=- 1",
            "a=sendrecv",
            "a=sendonly",
            "a=recvonly",
            "a=inactive",
            "a=mid:0",
            "a=mid:",
            "a=mid:x y",
            "a=group:BUNDLE 0 1",
            "a=group:BUNDLE",
            "c=IN IP4 0.0.0.0",
            "c=IN IP6 ::",
            "c=IN IP4 192.0.2.1",
            "c=",
            "a=rtcp-mux",
            "a=ice-ufrag:abcd",
            "a=ice-options:trickle",
            "a=end-of-candidates",
            "a=fingerprint:sha-256 00",
            "a=rtpmap:99 AV1/90000",
            "a=rtpmap:103 H264/90000",
            "a=rtpmap:99 VP8/90000",
            "a=rtpmap:99 red/48000/2",
            "a=rtpmap:0 opus/48000/2",
            "a=rtpmap:0 G719/48000",
            "a=rtpmap:99 MP4V-ES/90000",
            "a=fmtp:0 useinbandfec=1",
            "a=rtcp-fb:99 nack",
            "a=rtpmap:",
            "a=rtpmap:999 X/1",
            "a=candidate:1 1 udp 1 fd00:1111:2222:3333:4444:5555:6666:7777 9 typ host",
            "a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
            "a=candidate:1 1 udp 1 0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local 9 typ host",
            "a=candidate:",
            "m=audio 9 UDP/TLS/RTP/SAVPF 0 99",
            "m=audio 9 RTP/SAVPF 0",
            "m=video 9 UDP/TLS/RTP/SAVPF 99 103",
            "m=video 0 RTP/AVP 99",
            "m=video 9 RTP/AVP 99",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "m=text 0 RTP/AVP 98",
            "",
            "nonsense",
        ])
        .prop_map(str::to_owned),
        "[a-z]=[ -~]{0,20}",
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "INVITE sip:a SIP/2.0",
        "SIP/2.0 200 OK",
        "ACK sip:a SIP/2.0",
        "INFO sip:a SIP/2.0",
        "UPDATE sip:a SIP/2.0",
    ]);
    let kind = prop::sample::select(vec!["application/sdp", "application/trickle-ice-sdpfrag"]);
    let header = prop::sample::select(vec![
        "",
        "Session-Expires: 90;refresher=uas\r\nAllow: UPDATE\r\n",
        "Contact: <sip:a>\r\n",
    ]);
    let end = prop::sample::select(vec!["\r\n", "\n"]);
    (start, kind, header, 0..3u32, prop::collection::vec(line(), 0..20), end, any::<bool>()).prop_map(
        |(start, kind, header, sequence, lines, end, has_end)| {
            let body = format!("v=0{end}{}{}", lines.join(end), if has_end { end } else { "" });
            let method = start.split(' ').next().filter(|word| !word.starts_with("SIP")).unwrap_or("INVITE");
            format!(
                "{start}\r\nVia: SIP/2.0/WS a\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\nCall-ID: 1\r\nCSeq: {sequence} {method}\r\n\
                 {header}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        },
    )
}

const INVITE: &[u8] = b"INVITE x SIP/2.0\r\nTo: <sip:x>\r\nFrom: <sip:y>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";

proptest! {
    #[test]
    fn a_changed_message_is_not_changed_again_and_has_the_right_length(messages in prop::collection::vec(message(), 1..8)) {
        fuzzing::dialogue(&messages.join(&0));
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::dialogue(&bytes);
        fuzzing::transport(&bytes);
        fuzzing::transport(&[INVITE, &bytes].concat());
    }
}
