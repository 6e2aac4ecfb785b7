//! Finds the libraries that packages need from the archive's own data: in a suite under development, library names
//! change too often for a fixed list.

use std::collections::HashMap;

/// The libraries of `asterisk-modules` to follow. Most of the others belong to databases, sound cards and fax. Modules
/// without their libraries are not loaded, and of those we need only the host's own SRTP.
const OF_MODULES: (&str, &str) = ("asterisk-modules", "libsrtp");

/// The options that make `apt-cache depends` print hard dependencies only.
pub const HARD_ONLY: [&str; 6] =
    ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"];

/// `packages` and all libraries that they need, directly or indirectly, from the output of `apt-cache
/// depends --recurse`.
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

/// Parses the output into the dependencies of each package. For a virtual package (`<…>`) the first provider counts;
/// these are indented below it. All alternatives (`|Depends`) count, since libraries hardly have any.
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
