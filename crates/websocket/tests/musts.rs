//! Every MUST of RFC 6455 and RFC 7118 that concerns a server, and the test that holds us to it.
//!
//! Left out are the rules that others follow. The host does TLS before the handshake (§4.2.2 item 1), reads the request
//! line with its HTTP version (§4.2.1 item 1) and answers 404 for a resource that it does not have (§4.2.2 item 4). chan_sip
//! does Via, Contact and routing (RFC 7118 §5.2, §5.3, §7). We are neither an intermediary (§5.4) nor a client (§4.1 except
//! for the parts that a server checks, §7.2.1, §7.2.3).

/// Section, rule, test.
const MUSTS: &[(&str, &str, &str)] = &[
    ("4.2.1", "the request is a GET", "section_4_2_1_only_get_upgrades"),
    ("4.2.1", "Host and Upgrade are there", "section_4_2_1_tokens_are_found_in_lists_whatever_their_case"),
    // A departure, see the documentation of the crate.
    (
        "4.2.1",
        "Connection has the token Upgrade, or a proxy is told of",
        "section_4_2_1_a_request_whose_connection_header_a_proxy_replaced_is_accepted_and_known",
    ),
    ("4.2.1", "the key is 16 bytes in base64", "section_4_2_1_key_is_16_bytes"),
    (
        "4.2.1",
        "a request that does not match is answered with an error",
        "section_4_2_1_and_4_2_2_refusals_are_http_answers",
    ),
    (
        "4.2.2",
        "the answer is 101 with Upgrade, Connection and the accept key",
        "section_4_2_2_and_11_3_3_and_11_3_4_the_request_of_1_2_is_answered",
    ),
    (
        "4.2.2",
        "the subprotocol is one that the client named",
        "section_4_2_2_and_11_3_3_and_11_3_4_the_request_of_1_2_is_answered",
    ),
    ("4.1", "subprotocols are different tokens", "section_4_1_subprotocols_are_different_tokens"),
    (
        "4.2.2",
        "no subprotocol is named to a client that named none",
        "section_4_1_and_4_2_2_a_client_that_asks_for_no_subprotocol_is_told_of_none",
    ),
    (
        "4.2.2",
        "no extension that the client did not offer",
        "section_4_2_2_and_9_1_extensions_are_agreed_to_or_ignored_or_malformed",
    ),
    ("4.4", "another version is answered with 426 and the list of ours", "section_4_4_versions"),
    (
        "4.4",
        "and so it is on the wire",
        "section_4_2_2_and_4_4_and_7_2_2_an_invalid_handshake_is_refused_over_http_and_the_connection_closed",
    ),
    ("5.1", "an unmasked frame of a client closes the connection", "section_5_1_a_client_masks"),
    (
        "5.1",
        "a server does not mask",
        "section_5_1_and_5_3_a_server_never_masks_and_a_client_takes_a_fresh_key_for_each_frame",
    ),
    ("5.2", "RSV bits are 0 unless an extension was agreed", "section_5_2_and_5_5_refused_at_the_second_byte"),
    ("5.2", "an unknown opcode fails the connection", "section_5_2_and_5_5_refused_at_the_second_byte"),
    ("5.2", "a length takes the fewest bytes, and 63 bits", "section_5_2_refusals"),
    (
        "5.3",
        "a fresh masking key for each frame",
        "section_5_1_and_5_3_a_server_never_masks_and_a_client_takes_a_fresh_key_for_each_frame",
    ),
    ("5.4", "control frames come between fragments", "section_5_4_control_frames_come_between_fragments"),
    ("5.4", "control frames are not fragmented", "section_5_4_and_5_5_control_frames_are_short_and_whole"),
    ("5.4", "fragments of two messages are not interleaved", "section_5_4_what_may_follow_what"),
    ("5.4", "fragmented and unfragmented messages are taken", "section_5_4_messages_are_taken_in_fragments_and_whole"),
    (
        "5.4",
        "fragments are delivered in the order of sending, control frames among them",
        "section_5_4_fragments_come_in_their_order_around_control_frames",
    ),
    ("5.5", "control frames have 125 bytes at most", "section_5_4_and_5_5_control_frames_are_short_and_whole"),
    ("5.5", "and those that we send", "section_5_5_and_5_6_what_we_send_is_checked"),
    ("5.5.1", "a body begins with a code, its reason is UTF-8", "section_5_5_1_body_of_a_close_frame"),
    ("5.5.1", "a client's Close is masked", "section_5_1_and_5_5_1_an_unmasked_close_frame_is_none"),
    ("5.5.1", "a Close is answered with a Close", "section_5_5_1_the_code_that_came_is_echoed"),
    ("5.5.1", "nothing is sent after a Close", "section_5_5_1_and_5_5_2_nothing_is_said_or_heard_after_a_close_frame"),
    ("5.5.1", "nor after our own", "section_5_5_1_and_6_1_nothing_is_sent_after_our_own_close_frame"),
    ("5.5.1", "with both sent, the server closes the stream", "section_5_5_1_the_code_that_came_is_echoed"),
    ("5.5.2", "a PING is answered", "section_5_5_2_every_ping_is_answered_to_a_peer_that_reads"),
    ("5.5.2", "unless a Close came", "section_5_5_1_and_5_5_2_nothing_is_said_or_heard_after_a_close_frame"),
    ("5.5.3", "a PONG carries what its PING did", "section_5_5_3_a_pong_is_the_same_as_its_ping_and_is_not_answered"),
    ("5.6", "a text message is UTF-8 as a whole", "section_5_6_and_8_1_text_is_utf8_as_a_whole"),
    ("5.6", "and text that we send is", "section_5_5_and_5_6_what_we_send_is_checked"),
    (
        "5.8",
        "extensions are agreed to, or have no meaning",
        "section_5_8_and_9_1_a_feature_that_was_not_negotiated_ends_with_1002",
    ),
    ("6.1", "data is sent in the state OPEN only", "section_5_5_1_and_6_1_nothing_is_sent_after_our_own_close_frame"),
    (
        "6.1",
        "the opcode says what the data is, FIN ends the message, and it stays in order",
        "section_6_1_frames_are_whole_messages_in_the_order_of_sending",
    ),
    (
        "6.2",
        "data is unmasked and joined, and the next frame begins a new message",
        "section_6_2_fragments_are_unmasked_each_with_its_own_key_and_joined",
    ),
    (
        "7.1.1",
        "the server ends the stream first",
        "section_7_1_1_the_server_ends_the_stream_before_a_client_gives_up_waiting_for_it",
    ),
    ("7.1.2", "who starts closing sends a Close", "section_7_1_2_we_close"),
    ("7.1.7", "nothing is processed after failing", "section_7_1_7_nothing_is_processed_after_failing"),
    (
        "7.2.2",
        "a refused handshake ends with the connection closed",
        "section_4_2_2_and_4_4_and_7_2_2_an_invalid_handshake_is_refused_over_http_and_the_connection_closed",
    ),
    ("7.4.1", "1004, 1005, 1006 and 1015 are never on the wire", "section_7_4_1_and_7_4_2_codes_that_may_be_sent"),
    ("7.4.1", "whatever a caller asks for", "section_7_4_1_a_code_that_must_not_be_sent_never_is"),
    ("7.4.2", "codes below 1000 and undefined ones are not used", "section_7_4_1_and_7_4_2_codes_that_may_be_sent"),
    ("7.4.2", "nor taken", "section_7_4_2_bad_close_frames"),
    ("8.1", "text that is not UTF-8 fails the connection", "section_5_6_and_8_1_text_is_utf8_as_a_whole"),
    ("8.1", "as soon as it cannot be any more", "section_8_1_refused_as_soon_as_nothing_can_save_it"),
    ("9.1", "a malformed list of extensions fails the connection", "section_9_1_malformed_headers"),
    ("9.1", "quoted values are tokens", "section_9_1_values_are_tokens_in_quotes_or_not"),
    ("9.1", "several headers are one list", "section_9_1_and_11_3_2_several_headers_are_one_list"),
    (
        "10.2",
        "whoever checks the Origin refuses with an error",
        "section_10_2_other_pages_are_refused_in_one_line_that_fail2ban_can_read",
    ),
    (
        "10.4",
        "limits on frames and on messages joined of them",
        "section_10_4_a_message_too_big_ends_with_at_its_header",
    ),
    (
        "10.7",
        "data is validated, and what is wrong ends with its code",
        "section_10_7_what_is_wrong_ends_with_its_code",
    ),
    ("10.7", "wherever the stream is cut", "section_10_7_any_split_of_the_stream_gives_the_same"),
    ("11.3.1", "the key comes once", "section_11_3_1_and_11_3_5_key_and_version_come_once"),
    ("11.3.2", "extensions may come in several headers", "section_9_1_and_11_3_2_several_headers_are_one_list"),
    ("11.3.3", "the accept key is sent once", "section_4_2_2_and_11_3_3_and_11_3_4_the_request_of_1_2_is_answered"),
    ("11.3.4", "the subprotocol is sent once", "section_4_2_2_and_11_3_3_and_11_3_4_the_request_of_1_2_is_answered"),
    ("11.3.5", "the version comes once", "section_11_3_1_and_11_3_5_key_and_version_come_once"),
    ("7118 4.1", "sip is answered with sip", "rfc_7118_section_4_1_sip_is_answered_with_sip"),
    (
        "7118 4.1",
        "and by nobody who does not speak it",
        "rfc_7118_section_4_1_nobody_speaks_sip_while_it_is_not_registered",
    ),
    (
        "7118 4.2",
        "text and binary are taken; what is not UTF-8 is sent as binary",
        "rfc_7118_section_4_2_both_kinds_of_messages_are_taken_and_what_is_not_utf8_is_sent_as_binary",
    ),
    (
        "7118 5.1",
        "a SIP message is one message",
        "rfc_7118_section_5_1_a_sip_message_is_one_websocket_message_however_it_is_fragmented",
    ),
    (
        "7118 6",
        "PINGs keep a connection, and their absence of an answer ends it",
        "rfc_7118_section_6_a_silent_peer_is_asked_and_then_given_up",
    ),
];

const SOURCES: &[&str] = &[
    include_str!("../src/close.rs"),
    include_str!("../src/deflate.rs"),
    include_str!("../src/extension.rs"),
    include_str!("../src/frame.rs"),
    include_str!("../src/handshake.rs"),
    include_str!("../src/mask.rs"),
    include_str!("../src/origin.rs"),
    include_str!("../src/utf8.rs"),
    include_str!("connection/anything.rs"),
    include_str!("connection/closing.rs"),
    include_str!("connection/compression.rs"),
    include_str!("connection/messages.rs"),
    include_str!("connection/sip.rs"),
    include_str!("connection/waiting.rs"),
    include_str!("../../../tests/host/tests/websocket.rs"),
    include_str!("../../../tests/host/tests/websocket_settings.rs"),
];

#[test]
fn every_must_has_a_test_that_names_its_section() {
    for (section, rule, test) in MUSTS {
        let attributes = SOURCES.iter().find_map(|source| attributes(source, test));
        let attributes = attributes.unwrap_or_else(|| panic!("§{section}, {rule}: nothing is called {test}"));
        assert!(attributes.contains(&"#[test]"), "§{section}, {rule}: {test} is no test");
        assert!(!attributes.iter().any(|line| line.starts_with("#[ignore")), "§{section}, {rule}: {test} is not run");
        assert!(names(test, section), "§{section}, {rule}: {test} does not say so");
    }
}

/// The lines above a function that belong to it.
fn attributes<'a>(source: &'a str, function: &str) -> Option<Vec<&'a str>> {
    let before = &source[..source.find(&format!("fn {function}("))?];
    // The text on the line of the function itself comes last.
    let lines = before.lines().rev().map(str::trim).skip_while(|line| line.is_empty());
    Some(lines.take_while(|line| line.starts_with("#[") || line.starts_with("//")).collect())
}

/// Whether the name has exactly the numbers of the section, and the RFC if it is not 6455.
fn names(test: &str, section: &str) -> bool {
    let (rfc, section) = section.split_once(' ').unwrap_or(("6455", section));
    let named = test.strip_prefix("rfc_").and_then(|rest| rest.split_once('_')).unwrap_or(("6455", test));
    let is_number = |word: &&str| word.parse::<u32>().is_ok();
    let mut words = named.1.split('_');
    let mut numbers = std::iter::from_fn(|| {
        let number: Vec<_> = words.by_ref().skip_while(|word| !is_number(word)).take_while(is_number).collect();
        (!number.is_empty()).then(|| number.join("."))
    });
    named.0 == rfc && numbers.any(|number| number == section)
}

#[test]
fn a_name_has_the_section_as_a_whole() {
    assert!(names("section_5_1_and_5_5_1_x", "5.1") && names("section_5_1_and_5_5_1_x", "5.5.1"));
    assert!(!names("section_5_5_1_x", "5.5") && !names("section_15_1_x", "5.1") && !names("only_get", "4.2.1"));
    assert!(
        names("rfc_7118_section_6_x", "7118 6")
            && !names("rfc_7118_section_6_x", "6")
            && !names("section_6_x", "7118 6")
    );
    assert_eq!(attributes("#[test]\n    fn x() {}", "x"), Some(vec!["#[test]"]));
    assert_eq!(attributes("#[test]\n#[ignore]\nfn x() {}", "x"), Some(vec!["#[ignore]", "#[test]"]));
    assert_eq!(attributes("// see fn x(\n", "y"), None);
}
