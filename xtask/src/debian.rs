//! Unpacks Debian's Asterisk 16 and 22, the proxies of the same release, and Kamailio into `target/debian/`, to be
//! started from there.
//!
//! Nothing is installed, and root is not needed: `apt-get` runs with its own configuration, for one suite and an empty
//! machine. It downloads the packages listed here and the libraries that they need; `dpkg-deb` unpacks them into one
//! directory.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::prefix::Version;

use crate::Failure;
use crate::packages;
use crate::run::{on_path, output, run, target_directory, we_are_root};

mod libraries;

/// The variable that names another mirror than the machine's own.
const MIRROR: &str = "DEBIAN_MIRROR";

/// Debian's own keys. Other keys that the machine trusts are not used.
pub const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The file in the unpacked root that lists its packages. If the list here changes, the root is unpacked again.
const STAMP: &str = "packages";

/// A release of Debian, and the packages that are unpacked together.
struct Suite {
    name: &'static str,
    common: &'static [&'static str],
    packages: &'static [&'static str],
}

impl Suite {
    fn all_packages(&self) -> impl Iterator<Item = &'static str> {
        self.common.iter().chain(self.packages).copied()
    }

    fn stamp(&self) -> String {
        std::iter::once(self.name).chain(self.all_packages()).flat_map(|line| [line, "\n"]).collect()
    }

    fn is_in(&self, root: &Path) -> bool {
        fs::read_to_string(root.join(STAMP)).is_ok_and(|stamp| stamp == self.stamp())
    }
}

/// The packages for running Asterisk, compiling our modules, and running a proxy.
const COMMON: &[&str] = &["asterisk", "asterisk-dev", "asterisk-modules", "haproxy"];

/// Debian 11 has the last Asterisk 16, with the C library of its time (2.31) and another OpenSSL than ours (1.1), as
/// our modules find them on older systems. Its HAProxy is 2.2, the oldest that supports `contrib/haproxy`.
const BULLSEYE: Suite = Suite { name: "bullseye", common: COMMON, packages: &["nginx-light"] };

/// The suite with Asterisk 22, and the C library that it needs.
const UNSTABLE: Suite = Suite { name: "unstable", common: COMMON, packages: &["nginx"] };

/// Debian 12 has Kamailio 5.6, for which `contrib/kamailio` is written.
const KAMAILIO: Suite = Suite {
    name: "bookworm",
    common: &[],
    packages: &["kamailio", "kamailio-sqlite-modules", "kamailio-tls-modules", "kamailio-websocket-modules", "sqlite3"],
};

/// The root of Debian's Asterisk of this version; downloads and unpacks it first if necessary.
pub fn unpacked(version: Version) -> Result<PathBuf, Failure> {
    let suite = match version {
        Version::Eleven => {
            return Err("Debian packages no Asterisk 11: set ASTERISK_PREFIX to where one is installed.".to_owned());
        }
        Version::Sixteen => BULLSEYE,
        Version::TwentyTwo => UNSTABLE,
    };
    unpacked_as(&suite, version.number())
}

/// The root of Debian's Kamailio; downloads and unpacks it first if necessary.
pub fn kamailio() -> Result<PathBuf, Failure> {
    unpacked_as(&KAMAILIO, "kamailio")
}

fn unpacked_as(suite: &Suite, name: &str) -> Result<PathBuf, Failure> {
    let root = target_directory().join("debian").join(name);
    if !suite.is_in(&root) {
        let first = suite.all_packages().next().unwrap_or_default();
        println!("Unpacking {first} of Debian's {} into {}", suite.name, root.display());
        unpack(suite, &root)?;
    }
    Ok(root)
}

/// Unpacks beside `root` and renames the complete result, so that an interrupted run never looks complete. Another
/// process may do the same at the same time.
fn unpack(suite: &Suite, root: &Path) -> Result<(), Failure> {
    for program in ["apt-get", "dpkg-deb"] {
        if !on_path(program) {
            return Err(format!(
                "`{program}` is missing: Debian's packages can be unpacked only on Debian and systems derived from it."
            ));
        }
    }
    let keyring = packages::ensure(&[packages::TO_UNPACK]);
    if !Path::new(KEYS).exists() {
        let why = keyring.err().unwrap_or_default();
        return Err(format!(
            "{KEYS} is missing, with which Debian's packages are verified: install the package debian-archive-keyring. {why}"
        ));
    }
    let mirror = mirror()?;
    let work = root.with_extension(format!("partial-{}", std::process::id()));
    let outcome = fill(suite, &mirror, &work).and_then(|()| put_in_place(suite, &work.join("root"), root));
    // Leftovers do no harm.
    let _ = fs::remove_dir_all(&work);
    outcome
}

/// Downloads the packages and unpacks them into `root` below `work`.
fn fill(suite: &Suite, mirror: &str, work: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| format!("{} could not be filled: {error}", work.display());
    configure(suite, mirror, work).map_err(failed)?;
    download(suite, mirror, work)?;
    for package in fs::read_dir(work.join("packages")).map_err(failed)? {
        let package = package.map_err(failed)?.path();
        run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(work.join("root")))?;
    }
    fs::write(work.join("root").join(STAMP), suite.stamp()).map_err(failed)
}

/// Renames `unpacked` to `root`; replaces a root with another list of packages.
fn put_in_place(suite: &Suite, unpacked: &Path, root: &Path) -> Result<(), Failure> {
    if !suite.is_in(root) {
        // Usually there is no earlier root.
        let _ = fs::rename(root, unpacked.with_extension("stale"));
    }
    match fs::rename(unpacked, root) {
        // Another process was faster, and may already run a host from there.
        Err(_) if suite.is_in(root) => Ok(()),
        outcome => outcome.map_err(|error| format!("{} could not be put in place: {error}", root.display())),
    }
}

/// The mirror from which the machine gets its own packages.
fn mirror() -> Result<String, Failure> {
    if let Some(named) = std::env::var(MIRROR).ok().filter(|named| !named.is_empty()) {
        return Ok(named);
    }
    if let Some(known) = known_mirror()? {
        return Ok(known);
    }
    // A source has no label before the first `apt-get update`.
    if we_are_root() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
    }
    known_mirror()?
        .ok_or_else(|| format!("apt has no mirror of Debian: run `apt-get update` as root, or set {MIRROR} to one."))
}

/// Finds the mirror by its label: the archives of security updates and others have other labels.
fn known_mirror() -> Result<Option<String>, Failure> {
    let sites = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
        "Label: Debian",
    ]))?;
    Ok(sites.lines().next().map(str::to_owned))
}

/// Creates in `work` the directories and files of a separate apt.
fn configure(suite: &Suite, mirror: &str, work: &Path) -> io::Result<()> {
    if work.exists() {
        fs::remove_dir_all(work)?;
    }
    for part in ["lists/partial", "cache/archives/partial", "packages", "root"] {
        fs::create_dir_all(work.join(part))?;
    }
    fs::write(work.join("status"), "")?;
    fs::write(work.join("sources.list"), format!("deb [signed-by={KEYS}] {mirror} {} main\n", suite.name))?;
    fs::write(work.join("apt.conf"), apt_conf(work)?)
}

/// The configuration of an apt for a machine without packages, hooks and root. (Without hooks by `Dir::Etc::parts`,
/// because a common one empties the machine's cache.) Signatures are checked, but not their age: mirrors may be late,
/// and old releases are not signed again.
fn apt_conf(work: &Path) -> io::Result<String> {
    let network = Command::new("apt-config").args(["dump", "Acquire::http", "Acquire::https"]).output()?.stdout;
    // Use the machine's network proxies.
    let network = String::from_utf8_lossy(&network);
    let work = work.display();
    Ok(format!(
        "Dir::State::lists \"{work}/lists\";\nDir::State::status \"{work}/status\";\nDir::Cache \"{work}/cache\";\n\
         Dir::Etc::sourcelist \"{work}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\nAPT::Sandbox::User \"\";\nDebug::NoLocking \"true\";\n\
         APT::Update::Error-Mode \"any\";\nAcquire::Languages \"none\";\nAcquire::Retries \"2\";\n\
         Acquire::Check-Valid-Until \"false\";\n{network}"
    ))
}

/// Downloads the packages. Distinguishes a mirror that does not answer from an archive that lacks a package.
fn download(suite: &Suite, mirror: &str, work: &Path) -> Result<(), Failure> {
    let of_mirror = |failure| {
        format!(
            "the packages of {} could not be downloaded from {mirror} ({failure}): set {MIRROR} to another mirror of Debian.",
            suite.name
        )
    };
    run(apt(work, "apt-get").arg("update")).map_err(of_mirror)?;
    let names = output(apt(work, "apt-cache").arg("pkgnames"))?;
    let missing = missing(suite, &names);
    if !missing.is_empty() {
        return Err(format!(
            "Debian's {} has no package {} any more: update the list in xtask/src/debian.rs.",
            suite.name,
            missing.join(", ")
        ));
    }
    let mut depends = apt(work, "apt-cache");
    depends.args(["depends", "--recurse"]).args(libraries::HARD_ONLY).args(suite.all_packages());
    let needs = output(&mut depends)?;
    let packages = libraries::with_libraries(suite.all_packages().collect(), &needs);
    run(apt(work, "apt-get").arg("download").args(packages)).map_err(of_mirror)
}

/// The packages of the suite that are not among `names`, one per line.
fn missing(suite: &Suite, names: &str) -> Vec<&'static str> {
    let names: HashSet<&str> = names.lines().collect();
    suite.all_packages().filter(|package| !names.contains(package)).collect()
}

/// One of apt's programs with the configuration in `work`, which prints only errors.
fn apt(work: &Path, program: &str) -> Command {
    let mut apt = Command::new(program);
    apt.arg("-qq").env("APT_CONFIG", work.join("apt.conf")).current_dir(work.join("packages"));
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Suite = Suite { name: "one", common: COMMON, packages: &["one"] };

    const OTHER: Suite = Suite { name: "one", common: COMMON, packages: &["two"] };

    #[test]
    fn a_package_that_the_archive_has_not_got_is_named() {
        let names = COMMON.join("\n") + "\ntwo\none-dev\n";
        assert_eq!(missing(&ONE, &names), ["one"]);
        assert!(missing(&OTHER, &names).is_empty());
    }

    #[test]
    #[ignore = "downloads packages; `cargo xtask test` does so too"]
    fn kamailio_starts_from_where_it_is_unpacked() {
        let root = kamailio().unwrap();
        let version = output(e2e::prefix::command(&root, &root.join("usr/sbin/kamailio")).arg("-v")).unwrap();
        assert!(version.starts_with("version: kamailio 5.6."), "{version}");
    }

    #[test]
    fn another_list_of_packages_is_unpacked_anew() {
        let directory = Directory::new("stamp");
        let root = directory.0.join("16");
        assert!(!ONE.is_in(&root), "nothing is there");
        put_in_place(&ONE, &directory.unpacked(&ONE), &root).unwrap();
        assert!(ONE.is_in(&root) && !OTHER.is_in(&root));
        put_in_place(&OTHER, &directory.unpacked(&OTHER), &root).unwrap();
        assert!(OTHER.is_in(&root) && !ONE.is_in(&root));
    }

    #[test]
    fn the_result_of_a_faster_process_is_kept() {
        let directory = Directory::new("twice");
        let root = directory.0.join("16");
        for _ in 0..2 {
            put_in_place(&ONE, &directory.unpacked(&ONE), &root).unwrap();
            fs::write(root.join("in use"), "").unwrap();
        }
        let mut left = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        left.sort();
        assert_eq!(left, ["in use", STAMP]);
    }

    /// A directory for one test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn unpacked(&self, suite: &Suite) -> PathBuf {
            let path = self.0.join("partial").join(suite.packages[0]);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(STAMP), suite.stamp()).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
