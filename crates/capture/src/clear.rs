//! Descriptions of encrypted streams as Wireshark has to read them beside decrypted packets.
//!
//! Wireshark takes packets on the ports of an `m=` line with `SAVP` or `SAVPF` for encrypted, and shows no payload. In a capture they
//! are decrypted, so the line names the profile without encryption there: `UDP/TLS/RTP/SAVPF` becomes `RTP/AVPF`. `Content-Length`
//! follows, and nothing else of the message changes.

/// A message that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InClear {
    /// The message as it is written.
    pub message: Vec<u8>,
    /// The profiles that it had, each once: four at most.
    pub profiles: Vec<&'static str>,
}

/// Rewrites the profiles of encrypted streams in a SIP message; `None` if it has none.
pub fn in_clear(message: &[u8]) -> Option<InClear> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, body) = message.split_at_checked(end)?;
    let mut profiles = Vec::new();
    let body: Vec<u8> =
        body.split_inclusive(|octet| *octet == b'\n').flat_map(|line| media(line, &mut profiles)).collect();
    if profiles.is_empty() {
        return None;
    }
    let lines = head.split_inclusive(|octet| *octet == b'\n');
    let mut message: Vec<u8> = lines.flat_map(|line| length(line, body.len())).collect();
    message.extend_from_slice(&body);
    Some(InClear { message, profiles })
}

/// Returns the line of a description, with another profile if it is an `m=` line of an encrypted stream.
fn media(line: &[u8], profiles: &mut Vec<&'static str>) -> Vec<u8> {
    let rewritten = std::str::from_utf8(line).ok().filter(|line| line.starts_with("m=")).and_then(|line| {
        let mut fields = line.splitn(4, ' ');
        let (media, port, profile, formats) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (encrypted, clear) = *PROFILES.iter().find(|(encrypted, _)| *encrypted == profile)?;
        if !profiles.contains(&encrypted) {
            profiles.push(encrypted);
        }
        Some(format!("{media} {port} {clear} {formats}").into_bytes())
    });
    rewritten.unwrap_or_else(|| line.to_vec())
}

/// Returns the header line, with another value if it is `Content-Length`.
fn length(line: &[u8], len: usize) -> Vec<u8> {
    let name = line.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii();
    let is_length = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
    if is_length { [name, format!(": {len}\r\n").as_bytes()].concat() } else { line.to_vec() }
}

/// Profiles of encrypted streams, and those of the same streams in clear (RFC 3711, RFC 5124, RFC 5764).
const PROFILES: [(&str, &str); 4] = [
    ("UDP/TLS/RTP/SAVPF", "RTP/AVPF"),
    ("UDP/TLS/RTP/SAVP", "RTP/AVP"),
    ("RTP/SAVPF", "RTP/AVPF"),
    ("RTP/SAVP", "RTP/AVP"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_and_the_length_change_and_nothing_else() {
        let message = |profile: &str, name: &str, len: usize| {
            format!(
                "INVITE sip:echo@pbx SIP/2.0\r\n{name}: {len}\r\nCall-ID: 7\r\n\r\nv=0\r\nm=audio 9 {profile} 111 0\r\n\
                 a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\nm=video 9 RTP/AVP 96\r\n"
            )
        };
        for (profile, clear, name) in
            [("UDP/TLS/RTP/SAVPF", "RTP/AVPF", "Content-Length"), ("RTP/SAVP", "RTP/AVP", "l")]
        {
            let (original, expected) =
                (message(profile, name, 110 + profile.len()), message(clear, name, 99 + clear.len()));
            let changed = in_clear(original.as_bytes()).unwrap();
            let body = expected.split_once("\r\n\r\n").unwrap().1.len();
            let expected = expected.replace(&format!("{name}: {}", 99 + clear.len()), &format!("{name}: {body}"));
            assert_eq!(String::from_utf8(changed.message).unwrap(), expected);
            assert_eq!(changed.profiles, [profile]);
        }
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        for message in ["", "BYE sip:a SIP/2.0\r\n\r\n", "X\r\n\r\nm=audio 9 RTP/AVP 0\r\n", "m=audio 9 RTP/SAVP 0\r\n"]
        {
            assert_eq!(in_clear(message.as_bytes()), None, "{message}");
        }
    }
}
