//! `cargo xtask package`: a Debian package and an archive of the modules, the same bytes from the same commit and compilers.
//!
//! `dpkg-deb` and `tar` write both: they are where the package is used, and what they write is what others expect. The parts are in
//! `contrib/debian`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::prefix::Version;

use crate::run::{output, run, target_directory, workspace};
use crate::{Failure, modules, packages};

/// The contents of a package.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// The Asterisk that the modules are for.
    pub host: Version,
    /// The directory that it has its modules in; `None` for the usual one.
    modules: Option<String>,
}

impl Options {
    /// Reads `[--host N] [--modules DIR]`; `None` if they are others.
    pub fn parse(words: &[&str]) -> Option<Self> {
        let mut options = Self { host: Version::Eleven, modules: None };
        for pair in words.chunks(2) {
            match *pair {
                ["--host", number] => options.host = Version::from_number(number)?,
                ["--modules", directory] if directory.starts_with('/') && is_plain(directory) => {
                    options.modules = Some(directory.trim_end_matches('/').to_owned());
                }
                _ => return None,
            }
        }
        Some(options)
    }

    /// The directory of modules: Debian's, which is also that of a build with `--prefix=/usr`.
    fn modules(&self) -> &str {
        self.modules.as_deref().unwrap_or(match self.host {
            Version::Eleven | Version::Sixteen => "/usr/lib/asterisk/modules",
            Version::TwentyTwo => "/usr/lib/x86_64-linux-gnu/asterisk/modules",
        })
    }
}

/// Whether a path can stand in a shell script and in a list of a package as it is.
fn is_plain(path: &str) -> bool {
    path.chars().all(|character| character.is_ascii_alphanumeric() || "/._-+".contains(character))
        && !path.contains("..")
}

/// Builds the modules, and makes the package and the archive of them.
pub fn make(options: &Options) -> Result<(), Failure> {
    let package = Package::new(options)?;
    for made in [package.debian()?, package.archive()?] {
        println!("{}", made.display());
    }
    Ok(())
}

struct Package<'a> {
    options: &'a Options,
    name: String,
    version: String,
    maintainer: String,
    /// The time of the last commit, in seconds since 1970: the time of all files.
    time: String,
    /// The time of the last commit as a changelog has it.
    date: String,
    /// The built modules, with the program that installs them.
    built: PathBuf,
}

impl<'a> Package<'a> {
    fn new(options: &'a Options) -> Result<Self, Failure> {
        packages::ensure(&[packages::TO_PACKAGE])?;
        let built = modules::build(options.host)?;
        let commit = |format: &str, date: &str| {
            let mut git = Command::new("git");
            git.current_dir(workspace()).env("TZ", "UTC");
            git.args(["log", "-1", &format!("--format={format}"), &format!("--date={date}")]);
            output(&mut git).map(|said| said.trim().to_owned())
        };
        let set = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let maintainer = match (set("DEBFULLNAME"), set("DEBEMAIL")) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            _ => commit("%an <%ae>", "unix")?,
        };
        Ok(Self {
            options,
            name: format!("asterisk-webrtc-{}", options.host.number()),
            version: format!("{}~{}", env!("CARGO_PKG_VERSION"), commit("%cd", "format-local:%Y%m%d%H%M%S")?),
            maintainer,
            time: set("SOURCE_DATE_EPOCH").map_or_else(|| commit("%ct", "unix"), Ok)?,
            date: commit("%cd", "format-local:%a, %d %b %Y %H:%M:%S +0000")?,
            built,
        })
    }

    /// Makes the Debian package.
    fn debian(&self) -> Result<PathBuf, Failure> {
        let (root, made) = (self.root("deb")?, self.place(&format!("{}_{}_amd64.deb", self.name, self.version)));
        self.fill(&root).map_err(|error| format!("{} could not be filled: {error}", root.display()))?;
        compress(&root.join(self.documents("changelog")))?;
        let control = root.join("DEBIAN");
        let size = size_of(&root).map_err(|error| error.to_string())?.div_ceil(1024);
        let text = self.text("control")?.replace("@SIZE@", &size.to_string());
        write(&control.join("control"), &text, 0o644)?;
        write(&control.join("conffiles"), "/etc/asterisk/websocket.conf\n", 0o644)?;
        write(&control.join("md5sums"), &sums(&root)?, 0o644)?;
        for script in ["preinst", "postinst", "postrm"] {
            write(&control.join(script), &self.text(script)?, 0o755)?;
        }
        let mut build = Command::new("dpkg-deb");
        // One thread: the number of threads changes the bytes.
        build.env("SOURCE_DATE_EPOCH", &self.time).env("DPKG_DEB_THREADS_MAX", "1");
        run(build.args(["--build", "--root-owner-group", "-Zxz"]).arg(&root).arg(&made))?;
        Ok(made)
    }

    /// Copies everything that the package brings, except for what dpkg reads itself.
    fn fill(&self, root: &Path) -> io::Result<()> {
        let copy = |from: &Path, to: String| {
            let to = root.join(to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap_or(root))?;
            fs::copy(from, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o644))
        };
        for module in self.modules() {
            copy(&self.built.join(&module), format!("{}/{module}", self.options.modules()))?;
        }
        let contrib = workspace().join("contrib");
        copy(&contrib.join("samples/websocket.conf"), "/etc/asterisk/websocket.conf".to_owned())?;
        for sample in fs::read_dir(contrib.join("samples"))? {
            let sample = sample?;
            if sample.file_type()?.is_file() {
                let name = sample.file_name().to_string_lossy().into_owned();
                copy(&sample.path(), self.documents(&format!("examples/{name}")))?;
            }
        }
        copy(&contrib.join("UPGRADING.md"), self.documents("UPGRADING.md"))?;
        copy(&contrib.join("debian/copyright"), self.documents("copyright"))?;
        for (part, place) in [
            ("README.Debian", self.documents("README.Debian")),
            ("overrides", format!("usr/share/lintian/overrides/{}", self.name)),
        ] {
            copy(&contrib.join("debian").join(part), place.clone())?;
            let text = self.text(part).map_err(io::Error::other)?;
            fs::write(root.join(place), text)?;
        }
        fs::create_dir_all(root.join("DEBIAN"))?;
        let change = "New version; see UPGRADING.md and the CHANGELOG.md of the sources.";
        let changelog = format!(
            "{} ({}) unstable; urgency=medium\n\n  * {change}\n\n -- {}  {}\n",
            self.name, self.version, self.maintainer, self.date
        );
        fs::write(root.join(self.documents("changelog")), changelog)
    }

    /// Makes an archive of the modules, the program that installs them without dpkg, and the samples.
    fn archive(&self) -> Result<PathBuf, Failure> {
        let name = format!("{}-{}", self.name, self.version);
        let (root, made) = (self.root("tar")?, self.place(&format!("{name}-x86_64.tar.xz")));
        let directory = root.join(&name);
        let copied = || -> io::Result<()> {
            fs::create_dir_all(directory.join("samples"))?;
            for file in fs::read_dir(&self.built)?.chain(fs::read_dir(workspace().join("contrib/samples"))?) {
                let file = file?;
                let is_sample = file.path().extension().is_some_and(|extension| extension == "conf");
                let below = if is_sample { directory.join("samples") } else { directory.clone() };
                if file.file_type()?.is_file() {
                    fs::copy(file.path(), below.join(file.file_name()))?;
                }
            }
            for text in ["LICENSE", "LICENSE-EXCEPTION", "CHANGELOG.md", "contrib/UPGRADING.md"] {
                let text = workspace().join(text);
                fs::copy(&text, directory.join(text.file_name().unwrap_or_default()))?;
            }
            Ok(())
        };
        copied().map_err(|error| format!("{} could not be filled: {error}", directory.display()))?;
        let mut tar = Command::new("tar");
        tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
        tar.args(["--mode=u+rwX,go+rX,go-w", &format!("--mtime=@{}", self.time), "--use-compress-program=xz -T1"]);
        run(tar.arg("--file").arg(&made).arg("--directory").arg(&root).arg(&name))?;
        Ok(made)
    }

    /// The files of the modules.
    fn modules(&self) -> impl Iterator<Item = String> {
        modules::modules_of(self.options.host).map(|module| format!("{module}.so"))
    }

    /// The place of a document, below the root.
    fn documents(&self, name: &str) -> String {
        format!("usr/share/doc/{}/{name}", self.name)
    }

    /// A part of `contrib/debian`, filled in.
    fn text(&self, part: &str) -> Result<String, Failure> {
        let path = workspace().join("contrib/debian").join(part);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let host = self.options.host.number();
        let next: u32 = host.parse::<u32>().map_or(0, |host| host + 1);
        let libraries = "libc6 (>= 2.17), libgcc-s1 | libgcc1";
        let depends = match self.options.host {
            // No distribution has it any more, so it is not a package.
            Version::Eleven => libraries.to_owned(),
            _ => format!("{libraries}, asterisk (>= 1:{host}), asterisk (<< 1:{next})"),
        };
        let filled = [
            ("@PACKAGE@", self.name.as_str()),
            ("@VERSION@", &self.version),
            ("@MAINTAINER@", &self.maintainer),
            ("@HOST@", host),
            ("@DEPENDS@", &depends),
            ("@MODULES@", self.options.modules()),
            ("@REPLACED@", &modules::MODULES.join(" ")),
        ];
        Ok(filled.iter().fold(text, |text, (name, value)| text.replace(name, value)))
    }

    /// An empty directory to put the files into.
    fn root(&self, what: &str) -> Result<PathBuf, Failure> {
        let root = self.place(&format!(".{}-{what}", self.name));
        let emptied = fs::remove_dir_all(&root).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        emptied.and_then(|()| fs::create_dir_all(&root)).map_err(|error| format!("{}: {error}", root.display()))?;
        Ok(root)
    }

    fn place(&self, name: &str) -> PathBuf {
        target_directory().join("package").join(name)
    }
}

/// Writes a file of the package.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Replaces a file by its compressed form, without its name and time.
fn compress(path: &Path) -> Result<(), Failure> {
    run(Command::new("gzip").args(["-9", "--no-name", "--force"]).arg(path))
}

/// The sums that dpkg checks files with; the settings have theirs in its own list.
fn sums(root: &Path) -> Result<String, Failure> {
    let mut list = Command::new("sh");
    list.current_dir(root).env("LC_ALL", "C");
    output(list.args(["-c", "find usr -type f -print0 | sort -z | xargs -0 md5sum"]))
}

fn size_of(path: &Path) -> io::Result<u64> {
    if !path.is_dir() {
        return path.symlink_metadata().map(|file| file.len());
    }
    fs::read_dir(path)?.map(|entry| size_of(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(Version, String)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Options::parse(&words).map(|options| (options.host, options.modules().to_owned()))
    }

    #[test]
    fn packages_are_for_the_usual_directory_or_another() {
        assert_eq!(parse(""), Some((Version::Eleven, "/usr/lib/asterisk/modules".to_owned())));
        let other = parse("--modules /opt/asterisk-11/lib/asterisk/modules/ --host 16");
        assert_eq!(other, Some((Version::Sixteen, "/opt/asterisk-11/lib/asterisk/modules".to_owned())));
        for wrong in ["--host", "--host 12", "--modules lib", "--modules /a/$(id)", "--modules /a/../b", "--check"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
