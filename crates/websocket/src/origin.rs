//! Checks `Origin`, which says which pages may connect (RFC 6455 §10.2, RFC 6454 §7). It protects the users of browsers
//! from other pages. A client that is not a browser may send any origin.

use std::fmt;

/// One entry of the list of origins that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `https://phone.example`: scheme, host and port have to be equal.
    Exact(String),
    /// `*.example.com` or `https://*.example.com`: any host below the domain, at any port.
    Below { scheme: Option<String>, domain: String },
    /// `null`, which browsers send for pages without an origin, such as files.
    Null,
    /// `none`: the request has no `Origin`, and so does not come from a page.
    Absent,
}

impl AllowedOrigin {
    /// Reads one entry; `None` if it is not an origin.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let kind = match text.as_str() {
            "null" => Kind::Null,
            "none" => Kind::Absent,
            _ => match text.split_once("*.") {
                Some((before, domain)) if is_host(domain) => {
                    let scheme = match before {
                        "" => None,
                        before => Some(before.strip_suffix("://").filter(|scheme| is_scheme(scheme))?.to_owned()),
                    };
                    Kind::Below { scheme, domain: domain.to_owned() }
                }
                Some(_) => return None,
                None => {
                    split(&text)?;
                    Kind::Exact(without_default_port(&text).to_owned())
                }
            },
        };
        Some(Self(kind))
    }

    /// Whether a request with this `Origin` may connect.
    pub fn allows(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return self.0 == Kind::Absent };
        let origin = origin.trim().to_ascii_lowercase();
        match &self.0 {
            Kind::Absent => false,
            Kind::Null => origin == "null",
            Kind::Exact(exact) => without_default_port(&origin) == exact,
            Kind::Below { scheme, domain } => split(&origin).is_some_and(|(own_scheme, host, _)| {
                let below = host.strip_suffix(domain.as_str()).and_then(|rest| rest.strip_suffix('.'));
                below.is_some_and(|name| !name.is_empty()) && scheme.as_ref().is_none_or(|scheme| scheme == own_scheme)
            }),
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(exact) => f.write_str(exact),
            Kind::Below { scheme: None, domain } => write!(f, "*.{domain}"),
            Kind::Below { scheme: Some(scheme), domain } => write!(f, "{scheme}://*.{domain}"),
            Kind::Null => f.write_str("null"),
            Kind::Absent => f.write_str("none"),
        }
    }
}

/// Splits a serialised origin into scheme, host and port (RFC 6454 §6.2).
fn split(origin: &str) -> Option<(&str, &str, Option<u16>)> {
    let (scheme, authority) = origin.split_once("://")?;
    let (host, port) = match authority.rsplit_once(':') {
        // The colons within an IPv6 address do not separate a port.
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    let is_address = host.starts_with('[') && host.ends_with(']');
    (is_scheme(scheme) && (is_address || is_host(host))).then_some((scheme, host, port))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Removes the default port, which browsers leave out and people may write.
fn without_default_port(origin: &str) -> &str {
    match split(origin) {
        Some(("https", _, Some(443))) => origin.strip_suffix(":443").unwrap_or(origin),
        Some(("http", _, Some(80))) => origin.strip_suffix(":80").unwrap_or(origin),
        _ => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, origin: &str) -> bool {
        AllowedOrigin::parse(entry).expect("an entry").allows(Some(origin))
    }

    #[test]
    fn section_10_2_exact_origins() {
        assert!(allows("https://phone.example", "https://phone.example"));
        assert!(allows("HTTPS://Phone.Example:443", "https://phone.example"));
        assert!(allows("http://[::1]:8080", "http://[::1]:8080"));
        for other in ["http://phone.example", "https://phone.example:8443", "https://phone.example.evil", "null", ""] {
            assert!(!allows("https://phone.example", other), "{other}");
        }
    }

    #[test]
    fn section_10_2_hosts_below_a_domain() {
        assert!(
            allows("*.example.com", "https://a.example.com") && allows("*.example.com", "http://a.b.example.com:81")
        );
        for other in
            ["https://example.com", "https://.example.com", "https://badexample.com", "https://example.com.evil"]
        {
            assert!(!allows("*.example.com", other), "{other}");
        }
        assert!(!allows("*.example.com", "https://evil/?.example.com"), "no host has these characters");
        assert!(allows("https://*.example.com", "https://a.example.com"));
        assert!(!allows("https://*.example.com", "http://a.example.com"));
    }

    #[test]
    fn section_10_2_no_origin_and_the_null_origin_have_words_of_their_own() {
        assert!(allows("null", "null") && !allows("none", "none"));
        assert!(AllowedOrigin::parse("none").expect("a word").allows(None));
        assert!(!AllowedOrigin::parse("null").expect("a word").allows(None));
    }

    #[test]
    fn what_is_no_origin_is_told_apart() {
        for bad in ["", "phone.example", "https://", "*", "*.", "x*.example.com", "https://a/path", "://a"] {
            assert_eq!(AllowedOrigin::parse(bad), None, "{bad}");
        }
        for good in ["https://*.example.com", "*.example.com", "https://a:8443", "null", "none"] {
            assert_eq!(AllowedOrigin::parse(good).map(|origin| origin.to_string()).as_deref(), Some(good));
        }
    }
}
