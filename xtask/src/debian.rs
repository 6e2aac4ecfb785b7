//! Debian's Asterisk 16 and 22, unpacked into `target/debian/` and started from there.
//!
//! Nothing is installed and nobody has to be root: `apt-get` runs with a configuration of its own, which knows one suite and
//! an empty machine, and downloads the packages listed here; `dpkg-deb` unpacks them into one directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::prefix::Version;

use crate::Failure;
use crate::modules::target_directory;
use crate::run::{on_path, output, run, we_are_root};

/// Names another mirror than the machine's own.
const MIRROR: &str = "DEBIAN_MIRROR";

/// Debian's own keys. The machine may trust others too, which have nothing to do with this.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One release of Debian and what of it makes an Asterisk run and our modules compile.
struct Suite {
    name: &'static str,
    packages: &'static [&'static str],
}

/// In every suite.
const COMMON: &[&str] = &[
    "asterisk",
    "asterisk-dev",
    "asterisk-modules",
    "libbsd0",
    "libcap2",
    "libedit2",
    "libjansson4",
    "libmd0",
    "libnspr4",
    "libnss3",
    "libsqlite3-0",
    "libsrtp2-1",
    "libsystemd0",
    "libtinfo6",
    "liburiparser1",
    "libuuid1",
    "libxslt1.1",
    "libzstd1",
    "zlib1g",
];

/// Debian 11, which has the last Asterisk 16, with the C library of its time (2.31) and an OpenSSL that is not ours (1.1): what
/// our modules find on older systems.
const BULLSEYE: Suite = Suite {
    name: "bullseye",
    packages: &[
        "libc6",
        "libcrypt1",
        "libgcc-s1",
        "libgcrypt20",
        "libgpg-error0",
        "libicu67",
        "liblz4-1",
        "liblzma5",
        "libssl1.1",
        "libstdc++6",
        "libxml2",
    ],
};

/// Where Debian has an Asterisk 22, with the C library that it needs.
const UNSTABLE: Suite = Suite {
    name: "unstable",
    packages: &["libc6", "libcrypt1", "libgcc-s1", "libssl3t64", "libstdc++6", "libxml2-16"],
};

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
    if !root.exists() {
        println!("Unpacking Debian's {version} into {}", root.display());
        unpack(&suite, &root)?;
    }
    Ok(root)
}

/// All of it beside `root`, which then gets its name at once: what was interrupted never looks complete.
fn unpack(suite: &Suite, root: &Path) -> Result<(), Failure> {
    for program in ["apt-get", "dpkg-deb"] {
        if !on_path(program) {
            return Err(format!(
                "`{program}` is missing: Debian's Asterisk can be unpacked on a Debian or its like only."
            ));
        }
    }
    let mirror = mirror()?;
    let work = root.with_extension("partial");
    let failed = |error: io::Error| format!("{} could not be filled: {error}", work.display());
    configure(suite, &mirror, &work).map_err(failed)?;
    download(suite, &work).map_err(|failure| {
        format!("{mirror} gave no Asterisk of {} ({failure}): name another mirror of Debian in {MIRROR}.", suite.name)
    })?;
    for package in fs::read_dir(work.join("packages")).map_err(failed)? {
        let package = package.map_err(failed)?.path();
        run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(work.join("root")))?;
    }
    fs::rename(work.join("root"), root).and_then(|()| fs::remove_dir_all(&work)).map_err(failed)
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

fn download(suite: &Suite, work: &Path) -> Result<(), Failure> {
    run(apt_get(work).arg("update"))?;
    run(apt_get(work).arg("download").args(COMMON).args(suite.packages))
}

/// `apt-get` that reads `work`'s configuration and says no more than what goes wrong.
fn apt_get(work: &Path) -> Command {
    let mut apt_get = Command::new("apt-get");
    apt_get.arg("-qq").env("APT_CONFIG", work.join("apt.conf")).current_dir(work.join("packages"));
    apt_get
}
