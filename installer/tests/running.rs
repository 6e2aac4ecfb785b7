//! An Asterisk that is running with calls prevents installation and uninstallation, however it was started or hidden.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::{NOBODY, Place, Running, copy_program, install};
use installer::Refusal;

#[test]
fn calls_that_are_up_keep_the_modules_out_and_in() {
    let place = Place::eleven();
    let talking = place.run(Some(2));
    place.refuses(&["2 channels"]);
    drop(talking);
    install(&place.files(), &place.host()).unwrap();

    let talking = place.run(Some(1));
    assert!(matches!(place.uninstall(), Err(Refusal::CallsUp { count: 1, .. })));
    drop(talking);
    let _silent = place.run(Some(0));
    let done = place.uninstall().unwrap();
    assert!(done.is_running && done.sentence().contains("restart"), "{}", done.sentence());
}

#[test]
fn a_host_that_runs_and_does_not_answer_keeps_them_out() {
    let place = Place::eleven();
    let _mute = place.run(None);
    place.refuses(&["does not say"]);
}

/// If another process has its socket now, the answer of that process does not count.
#[test]
fn another_one_does_not_answer_for_it() {
    let (place, other) = (Place::eleven(), Place::eleven());
    let _running = place.run(Some(0));
    let _other = other.run(Some(0));
    let socket = place.root().join("asterisk.ctl");
    fs::remove_file(&socket).unwrap();
    fs::hard_link(other.root().join("asterisk.ctl"), socket).unwrap();
    place.refuses(&["does not say"]);
}

#[test]
fn after_a_change_without_a_restart_it_still_runs_from_there() {
    let place = Place::eleven();
    let _silent = place.run(Some(0));
    assert!(install(&place.files(), &place.host()).unwrap().is_running);
    fs::remove_file(place.modules().join("chan_sip.so")).unwrap();
    place.says(Some(1));
    let outcome = place.uninstall();
    assert!(matches!(outcome, Err(Refusal::CallsUp { count: 1, .. })), "{outcome:?}");
}

#[test]
fn a_module_may_be_a_link_to_elsewhere() {
    let place = Place::eleven();
    let (link, file) = (place.modules().join("chan_sip.so"), place.root().join("package.so"));
    fs::rename(&link, &file).unwrap();
    symlink(file, link).unwrap();
    let _talking = place.run(Some(2));
    place.refuses(&["2 channels"]);
}

/// A user id that is neither root nor `NOBODY`.
const SOMEBODY: u32 = 65533;

/// Tests that mount file systems or become other users. `cargo xtask test` runs them as root.
mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn it_may_call_the_directory_something_else() {
        let place = Place::eleven();
        place.says(Some(2));
        fs::create_dir(place.root().join("elsewhere")).unwrap();
        let script = "mount --bind lib/asterisk/modules elsewhere; exec sbin/asterisk -C \"$PWD\"";
        let mut program = Command::new("unshare");
        program
            .args(["--mount", "sh", "-c", script])
            .current_dir(place.root())
            .env("MODULES", place.root().join("elsewhere"));
        let _talking = Running::start(&mut program);
        place.refuses(&["2 channels"]);
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn one_behind_another_root_is_not_asked_through_ours() {
        let place = Place::eleven();
        let script = "cd \"$1\"; mkdir elsewhere; mount -t tmpfs none elsewhere; mount --rbind / elsewhere
            mount -t tmpfs none elsewhere/mnt; exec chroot elsewhere \"$0\" -C /mnt";
        let mut program = Command::new("unshare");
        program.args(["--mount", "sh", "-ec", script]).arg(place.program()).arg(place.root());
        let _contained = Running::start(program.env("MODULES", place.modules()));
        place.refuses(&["does not say"]);
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn a_process_that_cannot_be_inspected_may_have_calls() {
        let place = Place::eleven();
        let program = place.install();
        place.give_to(SOMEBODY);
        let before = place.state();
        place.says(Some(2));
        let mut talking = Command::new(place.program());
        let _talking = Running::start(talking.arg("-C").arg(place.root()).uid(SOMEBODY).gid(SOMEBODY));
        let output = Command::new(&program).arg("--prefix").arg(place.root()).uid(NOBODY).gid(NOBODY).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert!(sentence.contains("is an Asterisk by its name, and you may not see"), "{sentence}");
        assert!(sentence.contains("Run this as root"), "{sentence}");
        let powerless = "setpriv --bounding-set=-all --inh-caps=-all";
        let script = format!("exec {powerless} \"$0\" --prefix \"$1\"");
        let output = Command::new("sh").args(["-c", &script]).arg(&program).arg(place.root()).output().unwrap();
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert!(sentence.contains("not even root may see"), "{sentence}");
        assert_eq!(place.state(), before);
    }

    /// The owner of the directory may not inspect another user's Asterisk, and need not.
    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn another_users_asterisk_does_not_block_ones_own() {
        let (place, other) = (Place::eleven(), Place::eleven());
        let program = place.install();
        place.give_to(NOBODY);
        let _talking = other.run(Some(2));
        let output = Command::new(&program).arg("--prefix").arg(place.root()).uid(NOBODY).gid(NOBODY).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn where_processes_are_hidden_only_root_may_install_for_others() {
        for how in ["hidepid=1", "hidepid=2"] {
            let place = Place::eleven();
            let program = place.install();
            let before = place.state();
            let become_nobody = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups");
            let script = |who: &str| format!("mount -t proc -o {how} proc /proc && {who} \"$0\" --prefix \"$1\"");
            let run = |who: &str| {
                let mut command = Command::new("unshare");
                // Before Linux 5.8 this option applied to all mounts in a PID namespace.
                command.args(["--mount", "--pid", "--fork", "sh", "-c", &script(who)]).arg(&program).arg(place.root());
                command.output().unwrap()
            };
            let sentence = String::from_utf8(run(&become_nobody).stderr).unwrap();
            assert!(sentence.contains("hidepid"), "{sentence}");
            assert_eq!(place.state(), before);
            assert!(run("").status.success(), "root sees them all");
            place.uninstall().unwrap();
            place.give_to(NOBODY);
            let output = run(&become_nobody);
            assert!(output.status.success(), "it is his own: {output:?}");
        }
    }

    #[test]
    #[ignore = "needs root, who may mount and become other users"]
    fn a_stranger_blocks_nothing_by_a_name() {
        let place = Place::eleven();
        let named = place.root().join("asterisk");
        copy_program(Path::new("/bin/sleep"), &named);
        fs::set_permissions(&named, fs::Permissions::from_mode(0o755)).unwrap();
        let mut stranger = Command::new(named).arg("60").uid(NOBODY).gid(NOBODY).spawn().unwrap();
        let installed = install(&place.files(), &place.host());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert!(!installed.unwrap().is_running);
    }
}
