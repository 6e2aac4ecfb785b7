//! The project's commands.
//!
//! `cargo xtask demo` starts a real Asterisk with our modules and a page to call it from; `cargo xtask test` runs all tests
//! that this machine can run; `fuzz`, `asan` and `valgrind` look for errors that tests do not show. As root, each command
//! installs the Debian packages that it needs; otherwise it names them.

mod debian;
mod demo;
mod fuzz;
mod host;
mod install;
mod load;
mod modules;
mod nat;
mod package;
mod packages;
mod page;
mod peers;
mod repeat;
mod run;
mod sanitizer;
mod suite;
mod test;
mod valgrind;
mod without_calls;
mod zig;

use std::ffi::OsString;
use std::process::ExitCode;

use e2e::prefix::Version;

/// Why a command failed, as one sentence for the user.
type Failure = String;

const USAGE: &str = "\
cargo xtask <command>

  build [--host 11|16|22]           build the three modules and their installer into target/asterisk-<host>/, for
                                    Asterisk 11 by default; they run with every glibc since 2.17
  install [--prefix DIR | --modules DIR]
                                    build the modules and install them in place of the originals: in the Asterisk of
                                    this machine, in the one installed below DIR, or in the modules directory DIR
  uninstall [--prefix DIR | --modules DIR]
                                    put the originals back
  package [--host 11|16|22] [--modules DIR]
                                    build the modules and make a Debian package and an archive of them in target/package/, for
                                    an Asterisk that has its modules in DIR, by default where Debian's and a build with
                                    --prefix=/usr have them
  page DIR                          install the demo page in DIR/webrtc-demo; DIR is the directory that Asterisk
                                    serves as /static
  demo [--check] [--host 11|16|22]  start an Asterisk with the modules and serve a page to call it from: the Asterisk
                                    of ASTERISK_PREFIX, else Debian's, 16 by default; with --check, a headless browser
                                    places the call, and the exit code is 0 if it hears the echo
  demo --fleet [--check] [--host 11|16|22]
                                    the same with two Asterisks behind Kamailio, and coturn: says what to kill to see the
                                    rest go on; with --check, the browser calls before and after one Asterisk is killed
  test                              run all tests that this machine can run
  nat                               place calls through all kinds of NAT, with the Asterisk 11 of ASTERISK_PREFIX, and write
                                    the table into contrib/docs/nat.md; takes half an hour, as root
  load [options]                    place calls in bulk through the Asterisk of ASTERISK_PREFIX, with its own modules and with
                                    these in turns, and print what both cost; --help has the options
  bench [PART]                      run the benchmarks of the crates, or those with PART in their name
  fuzz [--seconds N] [TARGET]       run each target of tests/fuzz, or TARGET, for 30 seconds or N
  asan                              run the unit tests of the crates that share memory with C with AddressSanitizer
  valgrind                          run the built modules in the small host of tests/host under valgrind";

fn main() -> ExitCode {
    let words: Result<Vec<String>, OsString> = std::env::args_os().skip(1).map(OsString::into_string).collect();
    let outcome = match &words {
        Ok(words) => obey(&words.iter().map(String::as_str).collect::<Vec<_>>()),
        Err(word) => Err(format!(
            "{}: this is not UTF-8. Use the built program `install` instead, which accepts any path.",
            word.display()
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: &[&str]) -> Result<(), Failure> {
    let Some((command, options)) = arguments.split_first() else { return Err(USAGE.to_owned()) };
    match *command {
        "--help" | "-h" => {
            println!("{USAGE}");
            return Ok(());
        }
        "install" => return install::install(options),
        "uninstall" => return install::uninstall(options),
        "page" => {
            let [served] = options else { return Err(USAGE.to_owned()) };
            return page::put(served);
        }
        "load" => return load::compare(options),
        "bench" => {
            return match options {
                [] => load::bench(None),
                [part] if !part.starts_with('-') => load::bench(Some(part)),
                _ => Err(USAGE.to_owned()),
            };
        }
        "package" => return package::make(&package::Options::parse(options).ok_or(USAGE)?),
        "fuzz" => return fuzz::all(&fuzz::Options::parse(options).ok_or(USAGE)?),
        _ => {}
    }
    match (*command, Options::parse(options)?) {
        ("build", Options { check: false, fleet: false, host }) => {
            modules::build(host.unwrap_or(Version::Eleven)).map(|modules| println!("{}", modules.display()))
        }
        ("demo", Options { check: false, fleet: false, host }) => demo::serve(host),
        ("demo", Options { check: true, fleet: false, host }) => demo::check(host),
        ("demo", Options { check: false, fleet: true, host }) => demo::serve_fleet(host),
        ("demo", Options { check: true, fleet: true, host }) => demo::check_fleet(host),
        (command, Options { check: false, fleet: false, host: None }) => match command {
            "test" => test::all(),
            "nat" => nat::write(),
            "asan" => sanitizer::test(),
            "valgrind" => valgrind::all(),
            _ => Err(USAGE.to_owned()),
        },
        _ => Err(USAGE.to_owned()),
    }
}

/// The options of a command.
#[derive(Default)]
struct Options {
    check: bool,
    fleet: bool,
    host: Option<Version>,
}

impl Options {
    fn parse(mut words: &[&str]) -> Result<Self, Failure> {
        let mut options = Self::default();
        loop {
            words = match words {
                [] => return Ok(options),
                ["--check", rest @ ..] => {
                    options.check = true;
                    rest
                }
                ["--fleet", rest @ ..] => {
                    options.fleet = true;
                    rest
                }
                ["--host", number, rest @ ..] => {
                    let version = Version::from_number(number);
                    options.host = Some(version.ok_or_else(|| format!("--host {number}: use 11, 16 or 22."))?);
                    rest
                }
                _ => return Err(USAGE.to_owned()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Failure> {
        Options::parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn options_may_come_in_any_order() {
        for line in ["--check --host 16", "--host 16 --check", "--host 11 --check --host 16"] {
            let Options { check, fleet, host } = parse(line).unwrap();
            assert_eq!((check, fleet, host), (true, false, Some(Version::Sixteen)), "{line}");
        }
        let Options { check, fleet, host } = parse("--check --fleet").unwrap();
        assert_eq!((check, fleet, host), (true, true, None));
        let Options { check, fleet, host } = parse("").unwrap();
        assert_eq!((check, fleet, host), (false, false, None));
    }

    #[test]
    fn unknown_words_print_the_usage() {
        for line in ["--host", "--check=yes", "16", "--host 16 16"] {
            assert_eq!(parse(line).err().as_deref(), Some(USAGE), "{line}");
        }
        assert_eq!(parse("--host 13").err().as_deref(), Some("--host 13: use 11, 16 or 22."));
    }

    #[test]
    fn an_option_of_another_command_prints_the_usage() {
        for line in [
            "",
            "build --check",
            "test --host 11",
            "test --check",
            "test --fleet",
            "build --fleet",
            "page",
            "page a b",
            "install --host 11",
            "fuzz --seconds",
            "bench --seconds",
            "bench a b",
            "asan --check",
            "valgrind --host 11",
            "tset",
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(obey(&words).err().as_deref(), Some(USAGE), "{line}");
        }
    }
}
