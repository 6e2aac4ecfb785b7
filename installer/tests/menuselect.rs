//! Tests `contrib/menuselect` in a copy of the source tree that `ASTERISK_SOURCE` names: the tree builds and installs
//! our modules if they are chosen, and its own otherwise; its own `uninstall` and `distclean` leave nothing behind.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use common::Place;
use installer::{CODEC, MODULES};

/// A copy of the tree, an empty directory to install into, and files that look like our modules.
struct Tree {
    place: Place,
}

impl Tree {
    fn copy() -> Self {
        let tree = Self { place: Place::empty() };
        let original = std::env::var_os("ASTERISK_SOURCE").expect("the test is ignored without it");
        run(Command::new("cp").arg("-a").arg(original).arg(tree.root()));
        tree
    }

    fn root(&self) -> PathBuf {
        self.place.root().join("tree")
    }

    fn destination(&self) -> PathBuf {
        self.place.root().join("destination")
    }

    fn apply(&self, arguments: &[&str]) {
        let output = apply(arguments, &self.root());
        assert!(output.status.success(), "{output:?}");
    }

    fn make(&self, target: &str) {
        let destination = format!("DESTDIR={}", self.destination().display());
        run(Command::new("make").args([target, &destination]).current_dir(self.root()));
    }

    /// Chooses modules as a script does.
    fn choose(&self, enabled: &[String], disabled: &[String]) {
        let mut menuselect = Command::new("menuselect/menuselect");
        for (option, modules) in [("--disable", disabled), ("--enable", enabled)] {
            modules.iter().for_each(|module| {
                menuselect.args([option, module]);
            });
        }
        run(menuselect.arg("menuselect.makeopts").current_dir(self.root()));
    }

    fn installed(&self, module: &str) -> Vec<u8> {
        let found = Command::new("find").arg(self.destination()).args(["-name", module]).output().unwrap();
        fs::read(String::from_utf8(found.stdout).unwrap().trim()).unwrap()
    }

    /// The files below `directory` that have one of our names, but for the codec's.
    fn of_ours(&self, directory: &Path) -> Vec<String> {
        let found = Command::new("find").arg(directory).args(["-type", "f", "-name", "res_*.so"]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        found.lines().filter(|path| MODULES.iter().any(|module| path.ends_with(module))).map(str::to_owned).collect()
    }
}

fn run(command: &mut Command) {
    // Do not pass cargo's settings for make on to this one.
    let output = command.env_remove("MAKEFLAGS").output().unwrap();
    let tail: String = String::from_utf8_lossy(&output.stderr).lines().rev().take(20).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{command:?}: {tail}");
}

#[test]
#[cfg_attr(not(source_tree), ignore = "ASTERISK_SOURCE names no source tree of Asterisk 11")]
fn a_source_tree_has_ours_when_they_are_chosen_and_its_own_when_not() {
    let tree = Tree::copy();
    let files = tree.place.build_files();
    let is_ours = |module: &str| tree.installed(module) == fs::read(files.join(module)).unwrap();
    let theirs = MODULES.map(|module| module.trim_end_matches(".so").to_owned());
    let ours = theirs.clone().map(|module| format!("{module}_rust"));
    let codec = [format!("{}_rust", CODEC.trim_end_matches(".so"))];

    tree.apply(&["--modules", files.to_str().unwrap()]);
    tree.make("menuselect.makeopts");
    let offered = fs::read_to_string(tree.root().join("menuselect-tree")).unwrap();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(offered.contains(&format!("<member name=\"{ours}\"")), "{ours} is not offered");
        assert!(offered.contains(&format!("<conflict>{theirs}</conflict>")), "{ours} does not say what it replaces");
    }

    assert!(offered.contains(&format!("<member name=\"{}\"", codec[0])), "the codec is not offered");

    tree.choose(&[&ours[..], &codec].concat(), &theirs);
    tree.make("all");
    tree.make("install");
    assert!(MODULES.iter().chain([&CODEC]).all(|module| is_ours(module)));

    tree.choose(&theirs, &[&ours[..], &codec].concat());
    tree.make("all");
    tree.make("install");
    assert!(!MODULES.iter().any(|module| is_ours(module)));

    // Choose one of ours and two of theirs.
    tree.choose(&ours[1..2], &theirs[1..2]);
    tree.make("all");
    tree.make("install");
    assert_eq!(MODULES.map(is_ours), [false, true, false]);

    tree.make("uninstall");
    assert_eq!(tree.of_ours(&tree.destination()), [""; 0]);
    tree.make("distclean");
    assert_eq!(tree.of_ours(&tree.root()), [""; 0]);
    tree.apply(&["--remove"]);
    assert!(!tree.root().join("webrtc").exists() && !tree.root().join("GNUmakefile").exists());
}

/// Runs `apply` on this tree.
fn apply(arguments: &[&str], tree: &Path) -> Output {
    script(arguments, tree).output().unwrap()
}

fn script(arguments: &[&str], tree: &Path) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/menuselect/apply"));
    script.args(arguments).arg(tree);
    script
}

/// The parts of a source tree that `apply` checks.
fn sketch(place: &Place) -> PathBuf {
    let tree = place.root().join("tree");
    fs::create_dir_all(tree.join("menuselect")).unwrap();
    fs::write(tree.join("Makefile"), "MOD_SUBDIRS:=res $(LOCAL_MOD_SUBDIRS)\n").unwrap();
    tree
}

/// The output of `apply` when it refuses a tree that contains `theirs`.
fn refusal(arguments: &[&str], theirs: &str) -> String {
    let place = Place::empty();
    let tree = sketch(&place);
    fs::write(tree.join(theirs), "theirs\n").unwrap();
    let output = apply(arguments, &tree);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(fs::read_to_string(tree.join(theirs)).unwrap(), "theirs\n");
    let left = fs::read_dir(&tree).unwrap().count();
    assert_eq!(left, 3, "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn files_of_others_in_the_tree_are_left_alone() {
    for theirs in ["GNUmakefile", "webrtc"] {
        assert!(refusal(&[], theirs).contains(theirs));
        assert!(refusal(&["--remove"], theirs).contains("our modules are not in this tree"));
    }
}

#[test]
fn a_tree_of_another_version_is_refused() {
    assert!(refusal(&[], ".version").contains("this is Asterisk theirs"));
    // A checkout of a version before or after 11.
    for theirs in ["UPGRADE-1.8.txt", "UPGRADE-11.txt"] {
        assert!(refusal(&[], theirs).contains("this is another version of Asterisk"));
    }
}

#[test]
fn an_interrupted_apply_can_be_repeated() {
    for program in ["cp", "mv", "rm", "mkdir"] {
        let place = Place::empty();
        let tree = sketch(&place);
        fs::write(tree.join("UPGRADE-10.txt"), "a checkout of 11\n").unwrap();
        let bin = place.root().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink("/bin/false", bin.join(program)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        assert!(!script(&[], &tree).env("PATH", path).output().unwrap().status.success());
        assert!(apply(&[], &tree).status.success(), "after {program}");

        fs::remove_dir_all(tree.join("webrtc")).unwrap();
        assert!(apply(&["--remove"], &tree).status.success());
        assert!(!tree.join("GNUmakefile").exists());
    }
}

/// A checkout of our tree with a fake build, and an `install` that fails for the first module.
const CHECKOUT: &str = "\
    mkdir -p bin source/crates source/asterisk-headers source/target/asterisk-11\n\
    touch source/Cargo.toml source/Cargo.lock source/crates/lib.rs\n\
    cat > bin/cargo <<'CARGO'\n\
    #!/bin/sh\n\
    echo \"$*\" >> calls\n\
    for name in res_srtp res_rtp_asterisk res_http_websocket codec_opus_g719; do touch target/asterisk-11/$name.so; done\n\
    CARGO\n\
    cat > bin/put <<'PUT'\n\
    #!/bin/sh\n\
    test \"$3\" != res_http_websocket.so\n\
    PUT\n\
    chmod +x bin/cargo bin/put\n";

#[test]
fn ours_are_built_when_they_are_missing_or_older_than_their_sources() {
    let place = Place::empty();
    let (tree, root) = (sketch(&place), place.root());
    fs::write(tree.join(".version"), "11.25.3\n").unwrap();
    assert!(apply(&[], &tree).status.success());
    run(Command::new("sh").args(["-ec", CHECKOUT]).current_dir(root));
    let source = root.join("source");
    let said = format!("SOURCE := {}\nMODULES := $(SOURCE)/target/asterisk-11\n", source.display());
    fs::write(tree.join("webrtc/source.mk"), said).unwrap();
    let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap());
    let make = |target: &str| {
        let chosen = "MENUSELECT_WEBRTC=res_http_websocket_rust res_srtp_rust res_rtp_asterisk_rust";
        let mut make = Command::new("make");
        make.args(["-C", "webrtc", target, chosen, "INSTALL=put"]);
        make.current_dir(&tree).env("PATH", &path).env_remove("MAKEFLAGS");
        make
    };
    let calls = || fs::read_to_string(source.join("calls")).unwrap();

    for _ in 0..2 {
        run(&mut make("all"));
        assert_eq!(calls(), "xtask build\n");
    }
    for module in MODULES {
        assert!(source.join("target/asterisk-11").join(module).exists() && tree.join("webrtc").join(module).exists());
    }
    // The file system may store times in whole seconds.
    thread::sleep(Duration::from_secs(1));
    fs::write(source.join("crates/lib.rs"), "newer").unwrap();
    run(&mut make("all"));
    assert_eq!(calls(), "xtask build\n".repeat(2));

    // The result must not depend on the last module alone.
    assert!(!make("install").output().unwrap().status.success());
}
