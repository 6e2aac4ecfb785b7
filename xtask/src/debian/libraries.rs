//! Which libraries some packages need, as the archive says it: in a suite that is still moving their names change with each
//! transition, and a list of them here would be out of date the next day.

use std::collections::HashMap;

/// Most of `asterisk-modules`' libraries belong to databases, sound cards and fax machines. Modules that miss theirs are not
/// loaded, and only the host's own SRTP would be missed.
const OF_MODULES: (&str, &str) = ("asterisk-modules", "libsrtp");

/// What `apt-cache depends` is asked to leave out: whatever is no hard dependency.
pub const HARD_ONLY: [&str; 6] =
    ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"];

/// `packages` and the libraries that they need, and those need, by what `apt-cache depends --recurse` printed of them.
pub fn with_libraries<'a>(packages: Vec<&'a str>, printed: &'a str) -> Vec<&'a str> {
    let needed = dependencies(printed);
    let mut all = packages;
    let mut next = 0;
    while let Some(&package) = all.get(next) {
        let libraries = needed.get(package).into_iter().flatten().copied();
        for library in libraries.filter(|name| is_library(name) && is_wanted(package, name)) {
            if !all.contains(&library) {
                all.push(library);
            }
        }
        next += 1;
    }
    all
}

fn is_library(name: &str) -> bool {
    name.starts_with("lib") || name.starts_with("zlib")
}

fn is_wanted(package: &str, library: &str) -> bool {
    package != OF_MODULES.0 || library.starts_with(OF_MODULES.1)
}

/// Of a virtual package (`<…>`) it is the first that provides it: those are indented below. Alternatives (`|Depends`) all
/// count, as libraries hardly have any.
///
/// ```text
/// asterisk
///  |Depends: asterisk-config
///   Depends: <asterisk-config-custom>
///   Depends: libc6
///   Depends: <libxml2>
///     libxml2-16
/// ```
fn dependencies(printed: &str) -> HashMap<&str, Vec<&str>> {
    let mut all: HashMap<&str, Vec<&str>> = HashMap::new();
    let (mut package, mut is_virtual) = ("", false);
    for line in printed.lines() {
        let dependency = line.split_once("Depends: ").map(|(_, name)| name);
        match dependency {
            Some(name) => {
                is_virtual = name.starts_with('<');
                all.entry(package).or_default().extend((!is_virtual).then_some(name));
            }
            None if line.starts_with(' ') => {
                all.entry(package).or_default().extend(is_virtual.then_some(line.trim_start()));
                is_virtual = false;
            }
            None => package = line,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
asterisk
  Depends: adduser
 |Depends: asterisk-config
  Depends: <asterisk-config-custom>
  Depends: asterisk-modules
  PreDepends: libc6
  Depends: libsystemd0
    libelogind0
  Depends: <libxml2>
    libxml2-16
    libxml2-17
adduser
  Depends: libadduser
asterisk-modules
  Depends: libc6
  Depends: libpq5
  Depends: libsrtp2-1
libc6
  Depends: libgcc-s1
libgcc-s1
  Depends: libc6
libpq5
libsrtp2-1
  Depends: libssl3t64
libxml2-16
  Depends: zlib1g
";

    #[test]
    fn libraries_are_followed_and_nothing_else() {
        let all = with_libraries(vec!["asterisk"], PRINTED);
        assert_eq!(all, ["asterisk", "libc6", "libsystemd0", "libxml2-16", "libgcc-s1", "zlib1g"]);
    }

    #[test]
    fn of_the_modules_only_those_of_srtp_are() {
        let all = with_libraries(vec!["asterisk-modules"], PRINTED);
        assert_eq!(all, ["asterisk-modules", "libsrtp2-1", "libssl3t64"]);
    }
}
