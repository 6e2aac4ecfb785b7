//! The rules of SIP for messages (RFC 7118 §4.2, §5.1).

use websocket::Opcode;

use crate::{Server, frame, message, text};

#[test]
fn rfc_7118_section_4_2_both_kinds_of_messages_are_taken_and_what_is_not_utf8_is_sent_as_binary() {
    let wire = [text("SIP"), frame(true, Opcode::Binary, b"SIP \xff")].concat();
    let mut server = Server::new().receives(&wire);
    assert_eq!(server.events(), [message(Opcode::Text, b"SIP"), message(Opcode::Binary, b"SIP \xff")]);
    server.connection.send_text_or_binary(server.now, "κ".as_bytes()).unwrap();
    server.connection.send_text_or_binary(server.now, b"x\xff").unwrap();
    assert_eq!(server.sends(), b"\x81\x02\xce\xba\x82\x02x\xff");
}

#[test]
fn rfc_7118_section_5_1_a_sip_message_is_one_websocket_message_however_it_is_fragmented() {
    let sip = "REGISTER sip:example.com SIP/2.0\r\n\r\n";
    let (head, tail) = sip.as_bytes().split_at(7);
    let wire = [frame(false, Opcode::Text, head), frame(true, Opcode::Continuation, tail), text(sip)].concat();
    let mut server = Server::new().receives(&wire);
    assert_eq!(server.events(), [message(Opcode::Text, sip.as_bytes()), message(Opcode::Text, sip.as_bytes())]);
    server.connection.send(server.now, Opcode::Text, sip.as_bytes()).unwrap();
    assert_eq!(server.sends().first(), Some(&0x81), "what we send is never fragmented");
}
