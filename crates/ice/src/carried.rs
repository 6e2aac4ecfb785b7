//! Candidate addresses that are carried in the foundation (RFC 8839 §5.1).
//!
//! chan_sip of Asterisk 11 reads at most 23 characters of a candidate's address, so IPv6 addresses and names of multicast DNS
//! are cut off. Both are 128 bits, which fit into the 31 characters that it reads of a foundation. Whoever rewrites the
//! description puts a dummy in the address's place; whoever gets the candidate from the host reads the address here.
//!
//! ```text
//! +v6/  22 characters of base64  up to 5 characters of the candidate's own foundation
//! +md/  the UUID of a name UUID.local (RFC 6762), likewise
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// Stands in the place of the address that is carried: the address of nobody (RFC 7600 §4.8). A candidate with another address
/// has nothing to carry, however its foundation looks.
pub const PLACEHOLDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));

/// An address that was carried in a foundation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A name of multicast DNS, such as `0e2a7b1c-....local`.
    Mdns(String),
}

/// Returns the foundation that carries an address and tells candidates apart as `foundation` does; `None` for an address that
/// is neither IPv6 nor a UUID below `.local`.
pub fn encode(address: &str, foundation: &str) -> Option<String> {
    let (kind, bits) = match address.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>() {
        Ok(address) => (V6, address.octets()),
        Err(_) => (MDNS, uuid(address.strip_suffix(LOCAL)?)?),
    };
    let own: String = foundation.chars().filter(char::is_ascii_alphanumeric).collect();
    let own = own.get(own.len().saturating_sub(OWN_LEN)..).unwrap_or_default();
    Some(format!("{kind}{}{own}", BASE64.encode(bits)))
}

/// Returns the address that a foundation carries, and the rest of it: the end of the candidate's own foundation.
pub fn decode(foundation: &str) -> Option<(Carried, &str)> {
    let (kind, rest) = foundation.split_at_checked(V6.len())?;
    let (text, own) = rest.split_at_checked(BITS_LEN)?;
    let bits = <[u8; 16]>::try_from(BASE64.decode(text).ok()?).ok()?;
    let carried = match kind {
        V6 => Carried::V6(bits.into()),
        MDNS => Carried::Mdns(name(bits)),
        _ => return None,
    };
    Some((carried, own))
}

/// Reads a UUID in its usual form (RFC 9562 §4).
fn uuid(text: &str) -> Option<[u8; 16]> {
    let has_hyphens = text.len() == 36 && text.char_indices().all(|(at, c)| (c == '-') == HYPHENS.contains(&at));
    let digits = text.replace('-', "");
    let is_hex = has_hyphens && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(&digits, 16).ok()).flatten().map(u128::to_be_bytes)
}

fn name(bits: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bits));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
    format!("{}{LOCAL}", parts.join("-"))
}

const V6: &str = "+v6/";
const MDNS: &str = "+md/";
const LOCAL: &str = ".local";

/// The length of 128 bits in base64.
const BITS_LEN: usize = 22;

/// The characters that are left of the 31 that the host reads.
const OWN_LEN: usize = 5;

/// The places of the hyphens in a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_ipv6_addresses_are_carried_and_nothing_else() {
        let name = "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local";
        let foundation = encode(name, "842163049").expect("carried");
        assert_eq!(decode(&foundation), Some((Carried::Mdns(name.to_owned()), "63049")));
        assert_eq!(encode("[fd00::1]", "1"), encode("fd00::1", "1"));
        for other in ["192.0.2.1", "pbx.example", "printer.local", "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a", ""] {
            assert_eq!(encode(other, "1"), None, "{other}");
        }
        for other in
            ["1", "Hc0000201", "+v6/", "+v6/AAAA", "+xx/AAAAAAAAAAAAAAAAAAAAAA", "+v6/AAAAAAAAAAAAAAAAAAAAA=", "+v6é"]
        {
            assert_eq!(decode(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_the_same_at_the_other_end(bits: u128, foundation in "[a-zA-Z0-9+/]{1,32}") {
            let address = Ipv6Addr::from_bits(bits);
            let carried = encode(&address.to_string(), &foundation).expect("carried");
            prop_assert!(carried.len() <= 31 && carried.bytes().all(|c| c.is_ascii_alphanumeric() || b"+/".contains(&c)));
            let (decoded, own) = decode(&carried).expect("decoded");
            prop_assert_eq!(decoded, Carried::V6(address));
            prop_assert!(foundation.replace(['+', '/'], "").ends_with(own));
        }
    }
}
