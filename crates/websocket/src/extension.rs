//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use std::borrow::Cow;

/// One extension that a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a str,
    pub(crate) parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// The header does not follow the grammar: the connection fails (RFC 6455 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads one header: a list of names with parameters, whose values are tokens, in quotes or not.
pub(crate) fn parse(header: &str) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut rest = header.trim_matches(BLANK);
    let mut extensions = Vec::new();
    loop {
        // Empty elements of a list are allowed (RFC 2616 §2.1).
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(extensions);
        }
        let mut extension = Extension { name: token(&mut rest)?, parameters: Vec::new() };
        while eat(&mut rest, ';') {
            let name = token(&mut rest)?;
            let value = if eat(&mut rest, '=') { Some(value(&mut rest)?) } else { None };
            extension.parameters.push((name, value));
        }
        extensions.push(extension);
        if !rest.is_empty() && !eat(&mut rest, ',') {
            return Err(Malformed);
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// One separator and the blanks around it.
fn eat(rest: &mut &str, separator: char) -> bool {
    let Some(after) = rest.trim_start_matches(BLANK).strip_prefix(separator) else { return false };
    *rest = after.trim_start_matches(BLANK);
    true
}

fn token<'a>(rest: &mut &'a str) -> Result<&'a str, Malformed> {
    let len = rest.find(|character| !is_of_token(character)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(len);
    *rest = after.trim_start_matches(BLANK);
    if token.is_empty() { Err(Malformed) } else { Ok(token) }
}

/// What stands in quotes is a token as well, once the backslashes are gone.
fn value<'a>(rest: &mut &'a str) -> Result<Cow<'a, str>, Malformed> {
    let Some(quoted) = rest.strip_prefix('"') else { return token(rest).map(Cow::Borrowed) };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if !value.is_empty() => {
                *rest = quoted.get(at + 1..).unwrap_or_default().trim_start_matches(BLANK);
                return Ok(Cow::Owned(value));
            }
            '\\' => value
                .push(characters.next().map(|(_, character)| character).filter(|c| is_of_token(*c)).ok_or(Malformed)?),
            character if is_of_token(character) => value.push(character),
            _ => return Err(Malformed),
        }
    }
    Err(Malformed)
}

/// RFC 2616 §2.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_token)
}

fn is_of_token(character: char) -> bool {
    character.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_9_1_examples() {
        let names = |header| parse(header).map(|all| all.iter().map(|one| one.name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names("foo").unwrap(), ["foo"]);
        assert_eq!(names("bar; baz=2").unwrap(), ["bar"]);
        assert_eq!(names("foo, bar; baz=2").unwrap(), ["foo", "bar"]);
        assert_eq!(names("deflate-stream").unwrap(), ["deflate-stream"]);
        assert_eq!(names("mux; max-channels=4; flow-control, deflate-stream").unwrap(), ["mux", "deflate-stream"]);
        assert_eq!(names(" , ").unwrap(), [""; 0]);
    }

    #[test]
    fn section_9_1_values_are_tokens_in_quotes_or_not() {
        let all = parse(r#"a;b="1\2" ; c = x;d"#).unwrap();
        let expected = vec![("b", Some("12".into())), ("c", Some("x".into())), ("d", None)];
        assert_eq!(all, [Extension { name: "a", parameters: expected }]);
    }

    #[test]
    fn section_9_1_malformed_headers() {
        for bad in
            ["a b", "a;", "a;=1", "a;b=", "a;b=\"", "a;b=\"\"", "a;b=\"x y\"", "a;b=\"x\"y", "(a)", ";", "a;b=1=2"]
        {
            assert_eq!(parse(bad), Err(Malformed), "{bad}");
        }
    }
}
