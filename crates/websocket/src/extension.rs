//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use std::borrow::Cow;

/// One item of a client's offer: an extension, or a parameter of the last extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offered<'a> {
    Extension(&'a str),
    Parameter(&'a str, Option<Cow<'a, str>>),
}

/// The header does not follow the grammar, so the handshake fails (RFC 6455 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads one header: a list of names with parameters, whose values are tokens or quoted tokens. Calls `each` for every
/// item and keeps none of them, because a request has room for many thousands of offers.
pub(crate) fn parse<'a>(header: &'a str, mut each: impl FnMut(Offered<'a>)) -> Result<(), Malformed> {
    let mut rest = header.trim_matches(BLANK);
    loop {
        // Empty elements of a list are allowed (RFC 2616 §2.1).
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(());
        }
        each(Offered::Extension(token(&mut rest)?));
        while eat(&mut rest, ';') {
            let name = token(&mut rest)?;
            let value = if eat(&mut rest, '=') { Some(value(&mut rest)?) } else { None };
            each(Offered::Parameter(name, value));
        }
        if !rest.is_empty() && !eat(&mut rest, ',') {
            return Err(Malformed);
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// Skips one separator and the blanks around it. `false` if it is not there.
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

/// Reads a value: a token, or a quoted string without its backslashes.
fn value<'a>(rest: &mut &'a str) -> Result<Cow<'a, str>, Malformed> {
    let Some(quoted) = rest.strip_prefix('"') else { return token(rest).map(Cow::Borrowed) };
    if let Some((value, after)) = quoted.split_once('"').filter(|(value, _)| is_token(value)) {
        *rest = after.trim_start_matches(BLANK);
        return Ok(Cow::Borrowed(value));
    }
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

/// Whether a text is a token (RFC 2616 §2.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_token)
}

fn is_of_token(character: char) -> bool {
    character.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(header: &str) -> Result<Vec<Offered<'_>>, Malformed> {
        let mut all = Vec::new();
        parse(header, |offered| all.push(offered)).map(|()| all)
    }

    #[test]
    fn section_9_1_examples() {
        let names = |header| -> Vec<_> {
            let name = |offered| if let Offered::Extension(name) = offered { Some(name) } else { None };
            all(header).unwrap().into_iter().filter_map(name).collect()
        };
        assert_eq!(names("foo"), ["foo"]);
        assert_eq!(names("bar; baz=2"), ["bar"]);
        assert_eq!(names("foo, bar; baz=2"), ["foo", "bar"]);
        assert_eq!(names("deflate-stream"), ["deflate-stream"]);
        assert_eq!(names("mux; max-channels=4; flow-control, deflate-stream"), ["mux", "deflate-stream"]);
        assert_eq!(names(" , "), [""; 0]);
    }

    #[test]
    fn section_9_1_values_are_tokens_in_quotes_or_not() {
        let parameters = [("b", Some("12")), ("c", Some("x")), ("d", None), ("e", Some("y"))];
        let expected = parameters.map(|(name, value)| Offered::Parameter(name, value.map(Cow::from)));
        let expected = [&[Offered::Extension("a")], &expected[..], &[Offered::Extension("f")]].concat();
        assert_eq!(all(r#"a;b="1\2" ; c = x;d;e="y" , f"#), Ok(expected));
    }

    #[test]
    fn section_9_1_malformed_headers() {
        for bad in
            ["a b", "a;", "a;=1", "a;b=", "a;b=\"", "a;b=\"\"", "a;b=\"x y\"", "a;b=\"x\"y", "(a)", ";", "a;b=1=2"]
        {
            assert_eq!(all(bad), Err(Malformed), "{bad}");
        }
    }
}
