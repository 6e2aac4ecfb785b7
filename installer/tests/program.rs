//! The program `install` on the command line: its output, and its reactions to errors of the system.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use common::{NOBODY, Place};

/// The exit code, standard output and standard error of a process.
fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Expects that the command refuses with this sentence and changes nothing.
fn refuses(place: &Place, command: &mut Command, sentence: &str) {
    let before = place.state();
    let (code, _, err) = told(command.output().unwrap());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(sentence), "{err}");
    assert_eq!(place.state(), before);
}

#[test]
fn help_is_no_failure() {
    let place = Place::empty();
    let program = place.install();
    for word in ["--help", "-h"] {
        let (code, out, err) = told(Command::new(&program).arg(word).output().unwrap());
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.starts_with("install [--undo]"), "{out}");
    }
}

#[test]
fn unknown_words_print_the_usage() {
    let place = Place::empty();
    let program = place.install();
    for words in
        [&[OsStr::new("--purge")][..], &["--prefix".as_ref()], &[OsStr::from_bytes(b"\xff")], &["x".as_ref(); 3]]
    {
        let (code, out, err) = told(Command::new(&program).args(words).output().unwrap());
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}");
        assert!(err.starts_with("install [--undo]"), "{err}");
    }
}

#[test]
fn it_says_how_to_go_back_in_its_own_words() {
    let place = Place::eleven();
    let program = place.install();
    let install =
        |words: &[&str]| told(Command::new(&program).args(words).arg("--prefix").arg(place.root()).output().unwrap());
    assert_eq!(install(&[]).0, 0);
    let (code, _, err) = install(&[]);
    assert_eq!(code, 1);
    assert!(err.contains("`install --undo` puts the originals back"), "{err}");
    assert_eq!(install(&["--undo"]).0, 0);
}

#[test]
fn an_output_that_is_full_is_no_panic() {
    let place = Place::eleven();
    let program = place.install();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let mut install = Command::new(&program);
    let (code, _, err) = told(install.arg("--prefix").arg(place.root()).stdout(full()).output().unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("No space left") && err.contains("The modules are in"), "{err}");
    let mut install = Command::new(&program);
    let install = install.arg("--prefix").arg(place.root()).stdout(full()).stderr(full());
    assert_eq!(install.status().unwrap().code(), Some(1));
    place.uninstall().unwrap();
}

/// The host must be able to read the files, whatever our umask is.
#[test]
fn a_strict_umask_hides_nothing_from_the_host() {
    let place = Place::eleven();
    let program = place.install();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    let mut install = Command::new("sh");
    let install = install.args(["-c", "umask 077; exec \"$0\" --prefix .", program.to_str().unwrap_or("ours/install")]);
    assert_eq!(told(install.current_dir(place.root()).output().unwrap()).2, "");
    for (file, mode) in [("res_srtp.so", 0o755), ("originals", 0o755), ("originals/manifest", 0o644)] {
        let found = fs::metadata(place.modules().join(file)).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode, "{file}");
    }
    place.uninstall().unwrap();
}

fn nobody() -> String {
    format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups")
}

/// Tests that mount file systems or become other users. `cargo xtask test` runs them as root.
mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn users_without_permission_are_told_to_become_root() {
        let place = Place::eleven();
        let program = place.install();
        let sentence = "you have no permission. Run this as root";
        refuses(&place, place.alone(&nobody(), "").arg(&program), sentence);
        assert_eq!(told(place.alone("", "").arg(&program).output().unwrap()).0, 0);
        refuses(&place, place.alone(&nobody(), "--undo").arg(&program), sentence);
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn owners_of_an_asterisk_need_not_be_root() {
        let place = Place::eleven();
        let program = place.install();
        place.give_to(NOBODY);
        let before = place.state();
        for words in ["", "--undo"] {
            let (code, _, err) = told(place.alone(&nobody(), words).arg(&program).output().unwrap());
            assert_eq!((code, err.as_str()), (0, ""));
        }
        assert_eq!(place.state(), before);
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn root_is_not_told_to_become_root() {
        let place = Place::eleven();
        let program = place.install();
        place.give_to(NOBODY);
        let powerless = "setpriv --bounding-set=-all --inh-caps=-all";
        refuses(&place, place.alone(powerless, "").arg(&program), "does not let even root");
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn a_file_system_for_reading_only_is_named() {
        let place = Place::eleven();
        let program = place.install();
        let read_only = "mount --bind lib lib && mount -o remount,bind,ro lib";
        refuses(&place, place.after(read_only).arg(&program), "the file system is mounted read-only");
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn a_file_system_without_room_is_left_as_it_was() {
        let place = Place::eleven();
        let program = place.install();
        // Room for the four modules and two of ours, in whole pages.
        let length = fs::metadata(place.modules().join("chan_sip.so")).unwrap().len();
        let full = format!(
            "page=$(getconf PAGESIZE); size=$((({length} + page - 1) / page * page * 6))
            cp -a lib kept && mount -t tmpfs -o size=$size none lib && cp -a kept/. lib
            trap 'diff -r kept lib && echo as it was' EXIT"
        );
        let (_, out, err) = told(place.after(&full).arg(&program).output().unwrap());
        assert!(err.contains("no room left on the file system"), "{err}");
        assert_eq!(out, "as it was\n", "{err}");
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn originals_on_another_file_system_are_named() {
        let place = Place::eleven();
        let program = place.install();
        let apart = "mkdir apart lib/asterisk/modules/originals && mount --bind apart lib/asterisk/modules/originals
            trap 'umount lib/asterisk/modules/originals && rmdir lib/asterisk/modules/originals' EXIT";
        let sentence = "res_http_websocket.so: its file system does not support hard links";
        refuses(&place, place.after(apart).arg(&program), sentence);
    }

    /// A root directory with one Asterisk in `/usr` and one in `/usr/local`.
    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn of_several_asterisks_one_has_to_be_named() {
        let place = Place::eleven();
        place.install();
        let machine = "mkdir -p m/lib m/lib64 m/proc m/usr/local; cp -a ours m
            for prefix in m/usr m/usr/local; do cp -a sbin lib $prefix; done
            for place in lib lib64 proc; do [ ! -e /$place ] || mount --rbind /$place m/$place; done";
        let install = |words: &str| {
            let mut command = Command::new("unshare");
            let script = format!("{machine}\nchroot m /ours/install {words}");
            told(command.args(["--mount", "sh", "-ec", &script]).current_dir(place.root()).output().unwrap())
        };
        let (code, _, err) = install("");
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("There is an Asterisk below / or /usr/local. Name one: --prefix DIR"), "{err}");
        let (code, out, err) = install("--prefix /usr/local");
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("The modules are in /usr/local/lib/asterisk/modules"), "{out}");
        let (code, out, err) = install("--undo");
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("The originals are back in /usr/local/lib/asterisk/modules"), "{out}");
    }
}
