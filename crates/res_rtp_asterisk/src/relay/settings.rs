//! The keys of `rtp.conf` about TURN servers.

use std::path::PathBuf;

use asterisk::config::Entry;
use turn::{Protocol, Server};

/// The TURN servers, in the order in which they are tried, and the credentials for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relays {
    /// The servers (`turnaddr`, which may be repeated, and hold several between commas).
    pub servers: Vec<Server>,
    /// The username for all servers (`turnusername`).
    pub username: String,
    /// The password, or the secret that it is made from.
    pub secret: Secret,
    /// Number of allocations that are kept ready (`turnpool`); 0 turns relayed candidates off.
    pub pool: usize,
    /// Certificates of authorities that are trusted beside the system's, for `turns:` (`turncafile`).
    pub authorities: Option<PathBuf>,
}

/// A secret that the server shares with us.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password of the username (`turnpassword`).
    Password(String),
    /// A secret from which passwords that expire are made (`turnsecret`).
    Shared(String),
}

impl Default for Relays {
    fn default() -> Self {
        let secret = Secret::Password(String::new());
        Self { servers: Vec::new(), username: String::new(), secret, pool: DEFAULT_POOL, authorities: None }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Password(_) => "Password",
            Self::Shared(_) => "Shared",
        })
    }
}

impl Relays {
    /// Reads the lines of section `[general]`. Appends the errors in them to `problems`.
    pub fn read(entries: &[Entry<'_>], problems: &mut Vec<String>) -> Self {
        let find = |key: &str| entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(key));
        let text = |key| find(key).map_or("", |entry| entry.value.trim());
        let pool = find("turnpool").map_or(Ok(DEFAULT_POOL), |entry| entry.number(0..=MOST_READY));
        let pool = pool.unwrap_or_else(|bad| {
            problems.push(format!("{bad}; using {DEFAULT_POOL}"));
            DEFAULT_POOL
        });
        let secret = match (text("turnsecret"), text("turnpassword")) {
            ("", password) => Secret::Password(password.to_owned()),
            (shared, _) => Secret::Shared(shared.to_owned()),
        };
        let named = entries.iter().filter(|entry| entry.name.eq_ignore_ascii_case("turnaddr"));
        let mut servers = Vec::new();
        named.for_each(|entry| read_servers(entry, &mut servers, problems));
        let username = text("turnusername").to_owned();
        if let Some(entry) = find("turnaddr").filter(|_| !servers.is_empty()) {
            let Entry { file, line, .. } = entry;
            if username.is_empty() && matches!(secret, Secret::Password(_)) {
                problems
                    .push(format!("{file}, line {line}: turnaddr needs turnusername and turnpassword, or turnsecret"));
                servers.clear();
            }
        }
        let authorities = Some(text("turncafile")).filter(|file| !file.is_empty()).map(PathBuf::from);
        Self { servers, username, secret, pool, authorities }
    }

    /// Returns whether any allocation is wanted.
    pub fn are_wanted(&self) -> bool {
        self.pool > 0 && !self.servers.is_empty()
    }
}

fn read_servers(entry: &Entry<'_>, servers: &mut Vec<Server>, problems: &mut Vec<String>) {
    for text in entry.value.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        // The module of Asterisk 11 speaks TCP to its server.
        match Server::parse(text, Protocol::Tcp) {
            Ok(_) if servers.len() == MOST_SERVERS => {
                problems.push(format!("{}; ignored", entry.bad(format!("one of the first {MOST_SERVERS} servers"))))
            }
            Ok(server) => servers.push(server),
            Err(error) => problems
                .push(format!("{}: '{text}' has {error}; ignored", entry.bad("a list of TURN servers".to_owned()))),
        }
    }
}

const DEFAULT_POOL: usize = 2;

/// Most allocations that are kept ready.
const MOST_READY: usize = 64;

const MOST_SERVERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &[(&'static str, &'static str)]) -> (Relays, Vec<String>) {
        let entry = |(line, &(name, value))| Entry { name, value, file: "rtp.conf", line };
        let (entries, mut problems): (Vec<_>, _) = ((1..).zip(written).map(entry).collect(), Vec::new());
        (Relays::read(&entries, &mut problems), problems)
    }

    fn names(relays: &Relays) -> Vec<String> {
        relays.servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_keys_of_asterisk_11_keep_their_meaning() {
        let (relays, problems) =
            read(&[("turnaddr", "myturn.server.com:34780"), ("turnusername", "pbx"), ("turnpassword", "word")]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(names(&relays), ["turn:myturn.server.com:34780?transport=tcp"]);
        assert_eq!((relays.username.as_str(), &relays.secret), ("pbx", &Secret::Password("word".into())));
        assert!(relays.are_wanted());
    }

    #[test]
    fn servers_are_tried_in_the_order_of_their_lines() {
        let (relays, problems) = read(&[
            ("turnsecret", "north"),
            ("turnaddr", "turn:one.example.org, turns:two.example.org:443?transport=tcp"),
            ("turnaddr", "three.example.org"),
            ("turnpool", "0"),
        ]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            names(&relays),
            [
                "turn:one.example.org:3478?transport=udp",
                "turns:two.example.org:443?transport=tcp",
                "turn:three.example.org:3478?transport=tcp"
            ]
        );
        assert_eq!(relays.secret, Secret::Shared("north".into()));
        assert!(!relays.are_wanted());
    }

    #[test]
    fn a_broken_value_is_named_and_costs_its_own_server_only() {
        let (relays, problems) = read(&[
            ("turnaddr", "turn:one.example.org:0, two.example.org"),
            ("turnsecret", "north"),
            ("turnpool", "many"),
        ]);
        assert_eq!((names(&relays).len(), relays.pool), (1, DEFAULT_POOL));
        let starts = ["rtp.conf, line 3: turnpool = 'many' is not ", "rtp.conf, line 1: turnaddr = "];
        assert!(
            problems.len() == 2 && problems.iter().zip(starts).all(|(text, start)| text.starts_with(start)),
            "{problems:#?}"
        );
        assert!(problems[1].contains("'turn:one.example.org:0' has no port"));
    }

    #[test]
    fn a_server_without_credentials_is_not_used() {
        let (relays, problems) = read(&[("turnaddr", "192.0.2.1")]);
        assert_eq!(problems, ["rtp.conf, line 1: turnaddr needs turnusername and turnpassword, or turnsecret"]);
        assert!(!relays.are_wanted());
        assert_eq!(read(&[("turnaddr", "")]), (Relays::default(), Vec::new()));
    }
}
