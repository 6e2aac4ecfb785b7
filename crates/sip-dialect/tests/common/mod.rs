//! Changes of a message on its way.

/// The lines that a message lost and got, with `|` between them.
pub type Difference = (String, String);

/// The lines that are in one message only. `Content-Length` is checked and left out.
pub fn difference(before: &str, after: &[u8]) -> Difference {
    let after = std::str::from_utf8(after).expect("text");
    let (head, body) = after.split_once("\r\n\r\n").expect("a body");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{after}");
    let only_in = |text: &str, other: &str| {
        let mut others: Vec<&str> = other.lines().collect();
        let left = text.lines().filter(|line| match others.iter().position(|other| other == line) {
            Some(found) => {
                others.remove(found);
                false
            }
            None => !line.starts_with("Content-Length"),
        });
        left.collect::<Vec<_>>().join("|")
    };
    (only_in(before, after), only_in(after, before))
}
