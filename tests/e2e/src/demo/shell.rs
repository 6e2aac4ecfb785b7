//! Commands as lines of a shell script.

use std::ffi::OsStr;
use std::process::Command;

/// The line that runs `command` with its variables, each word quoted.
pub fn line_of(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let name = name.to_string_lossy();
        Some(format!("{name}={}", value?.to_string_lossy()))
    });
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy);
    let words = words.map(std::borrow::Cow::into_owned);
    let all = std::iter::once("env".to_owned()).chain(variables).chain(words);
    all.map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_passes_on_variables_and_words_as_they_are() {
        let mut printed = Command::new("sh");
        printed.args(["-c", r#"printf "%s|" "$A" "$@""#, "sh", "it's", "two words"]).env("A", "a 'b'");
        let told = Command::new("sh").args(["-c", &line_of(&printed)]).output().unwrap();
        assert_eq!(told.stdout, b"a 'b'|it's|two words|");
    }
}
