//! Debian's Asterisk 16 and 22, unpacked into `target/debian/` and started from there, and the proxies of their time.
//!
//! Nothing is installed and nobody has to be root: `apt-get` runs with a configuration of its own, which knows one suite and
//! an empty machine, and downloads the packages listed here and the libraries that they need; `dpkg-deb` unpacks them into
//! one directory.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::prefix::Version;

use crate::Failure;
use crate::modules::target_directory;
use crate::packages;
use crate::run::{on_path, output, run, we_are_root};

mod libraries;

/// Names another mirror than the machine's own.
const MIRROR: &str = "DEBIAN_MIRROR";

/// Debian's own keys. The machine may trust others too, which have nothing to do with this.
pub const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What was unpacked, in its root: another list here has it unpacked anew.
const STAMP: &str = "packages";

/// One release of Debian and what of it makes an Asterisk run and our modules compile, and nginx and HAProxy run in front.
struct Suite {
    name: &'static str,
    packages: &'static [&'static str],
}

impl Suite {
    fn all_packages(&self) -> impl Iterator<Item = &'static str> {
        COMMON.iter().chain(self.packages).copied()
    }

    fn stamp(&self) -> String {
        std::iter::once(self.name).chain(self.all_packages()).flat_map(|line| [line, "\n"]).collect()
    }

    fn is_in(&self, root: &Path) -> bool {
        fs::read_to_string(root.join(STAMP)).is_ok_and(|stamp| stamp == self.stamp())
    }
}

/// In every suite.
const COMMON: &[&str] = &["asterisk", "asterisk-dev", "asterisk-modules", "haproxy"];

/// Debian 11, which has the last Asterisk 16, with the C library of its time (2.31) and an OpenSSL that is not ours (1.1): what
/// our modules find on older systems. Its HAProxy is 2.2, the first that takes what `contrib/haproxy` says.
const BULLSEYE: Suite = Suite { name: "bullseye", packages: &["nginx-light"] };

/// Where Debian has an Asterisk 22, with the C library that it needs.
const UNSTABLE: Suite = Suite { name: "unstable", packages: &["nginx"] };

/// The root of Debian's Asterisk of this version, downloaded if it is not there yet.
pub fn unpacked(version: Version) -> Result<PathBuf, Failure> {
    let suite = match version {
        Version::Eleven => {
            return Err("Debian packages no Asterisk 11: set ASTERISK_PREFIX to where one is installed.".to_owned());
        }
        Version::Sixteen => BULLSEYE,
        Version::TwentyTwo => UNSTABLE,
    };
    let root = target_directory().join("debian").join(version.number());
    if !suite.is_in(&root) {
        println!("Unpacking Debian's {version} into {}", root.display());
        unpack(&suite, &root)?;
    }
    Ok(root)
}

/// All of it beside `root`, which then gets its name at once: what was interrupted never looks complete. Another process may
/// be doing the same.
fn unpack(suite: &Suite, root: &Path) -> Result<(), Failure> {
    for program in ["apt-get", "dpkg-deb"] {
        if !on_path(program) {
            return Err(format!(
                "`{program}` is missing: Debian's Asterisk can be unpacked on a Debian or its like only."
            ));
        }
    }
    let keyring = packages::ensure(&[packages::TO_UNPACK]);
    if !Path::new(KEYS).exists() {
        let why = keyring.err().unwrap_or_default();
        return Err(format!(
            "{KEYS} is missing, which Debian's packages are verified with: it is in the package debian-archive-keyring. {why}"
        ));
    }
    let mirror = mirror()?;
    let work = root.with_extension(format!("partial-{}", std::process::id()));
    let outcome = fill(suite, &mirror, &work).and_then(|()| put_in_place(suite, &work.join("root"), root));
    // What is left of it is in nobody's way.
    let _ = fs::remove_dir_all(&work);
    outcome
}

/// Fills `work`'s `root`.
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

/// Gives what is `unpacked` its name, in place of what an earlier list of packages left there.
fn put_in_place(suite: &Suite, unpacked: &Path, root: &Path) -> Result<(), Failure> {
    if !suite.is_in(root) {
        // As a rule nothing is there.
        let _ = fs::rename(root, unpacked.with_extension("stale"));
    }
    match fs::rename(unpacked, root) {
        // Another process was faster, and its hosts may be running already.
        Err(_) if suite.is_in(root) => Ok(()),
        outcome => outcome.map_err(|error| format!("{} could not be put in place: {error}", root.display())),
    }
}

/// The mirror that the machine has its own packages from.
fn mirror() -> Result<String, Failure> {
    if let Some(named) = std::env::var(MIRROR).ok().filter(|named| !named.is_empty()) {
        return Ok(named);
    }
    if let Some(known) = known_mirror()? {
        return Ok(known);
    }
    // A source has no label before its first update.
    if we_are_root() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
    }
    known_mirror()?
        .ok_or_else(|| format!("apt knows no mirror of Debian: run `apt-get update` as root, or name one in {MIRROR}."))
}

/// By its label: the archives of security updates and of others have labels of their own.
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

/// Lays out `work` anew for an apt of its own.
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

/// A machine without packages, without hooks (`Dir::Etc::parts`; one in wide use empties the machine's own cache), without
/// root. Signatures are checked, but not their age: a mirror may lag behind, and an old release is not signed again.
fn apt_conf(work: &Path) -> io::Result<String> {
    let network = Command::new("apt-config").args(["dump", "Acquire::http", "Acquire::https"]).output()?.stdout;
    // The proxies that the machine goes through.
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

/// A mirror that gives nothing is told apart from an archive that has not got all of it.
fn download(suite: &Suite, mirror: &str, work: &Path) -> Result<(), Failure> {
    let of_mirror = |failure| {
        format!("{mirror} gave no Asterisk of {} ({failure}): name another mirror of Debian in {MIRROR}.", suite.name)
    };
    run(apt(work, "apt-get").arg("update")).map_err(of_mirror)?;
    let names = output(apt(work, "apt-cache").arg("pkgnames"))?;
    let missing = missing(suite, &names);
    if !missing.is_empty() {
        return Err(format!(
            "Debian's {} has no package called {}: what became of it has to be said in xtask/src/debian.rs.",
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

/// What of the suite is not among `names`, one a line.
fn missing(suite: &Suite, names: &str) -> Vec<&'static str> {
    let names: HashSet<&str> = names.lines().collect();
    suite.all_packages().filter(|package| !names.contains(package)).collect()
}

/// A program of apt's that reads `work`'s configuration and says no more than what goes wrong.
fn apt(work: &Path, program: &str) -> Command {
    let mut apt = Command::new(program);
    apt.arg("-qq").env("APT_CONFIG", work.join("apt.conf")).current_dir(work.join("packages"));
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Suite = Suite { name: "one", packages: &["one"] };

    const OTHER: Suite = Suite { name: "one", packages: &["two"] };

    #[test]
    fn a_package_that_the_archive_has_not_got_is_named() {
        let names = COMMON.join("\n") + "\ntwo\none-dev\n";
        assert_eq!(missing(&ONE, &names), ["one"]);
        assert!(missing(&OTHER, &names).is_empty());
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
    fn what_another_process_has_unpacked_stays() {
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

    /// A directory of one test's.
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
