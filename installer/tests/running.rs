//! An Asterisk that runs with calls keeps the modules out and in, however it was started and whatever hides it.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::{NOBODY, Place, Running, copy_program};
use installer::{Refusal, install};

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

#[test]
fn options_may_share_a_word() {
    let place = Place::eleven();
    place.says(Some(3));
    let in_one_word = [b"-vvvC", place.root().as_os_str().as_bytes()].concat();
    for words in [[OsStr::from_bytes(&in_one_word), "-f".as_ref()], ["-gC".as_ref(), place.root().as_os_str()]] {
        let _talking = Running::start(Command::new(place.program()).args(words));
        place.refuses(&["3 channels"]);
    }
}

/// Where its configuration is gone, the console goes on with the usual one, and whoever uses that answers.
#[test]
fn another_one_does_not_answer_for_it() {
    let place = Place::eleven();
    place.says(Some(0));
    let configuration = place.root().join("etc");
    symlink(place.root(), &configuration).unwrap();
    let _running = Running::start(Command::new(place.program()).arg("-C").arg(&configuration));
    install(&place.files(), &place.host()).unwrap();
    fs::remove_file(configuration).unwrap();
    let refusal = place.uninstall().unwrap_err();
    assert!(matches!(refusal, Refusal::CallsUnknown { .. }), "{refusal}");
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

#[test]
#[cfg_attr(not(root), ignore = "only root can mount")]
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
#[cfg_attr(not(root), ignore = "only root can change its root")]
fn one_behind_another_root_is_not_asked_through_ours() {
    let place = Place::eleven();
    place.says(Some(0));
    let script = "mount --rbind / elsewhere; mount -t tmpfs none elsewhere/mnt; exec chroot elsewhere \"$0\" -C \"$1\"";
    fs::create_dir(place.root().join("elsewhere")).unwrap();
    let mut program = Command::new("unshare");
    program.args(["--mount", "sh", "-c", &format!("cd \"$1\"; mount -t tmpfs none elsewhere; {script}")]);
    program.arg(place.program()).arg(place.root());
    let _contained = Running::start(&mut program);
    place.refuses(&["does not say"]);
}

#[test]
#[cfg_attr(not(root), ignore = "only root can become somebody else")]
fn what_may_not_be_looked_at_may_have_calls() {
    let place = Place::eleven();
    let program = place.install();
    place.give_to(NOBODY);
    let before = place.state();
    let _talking = place.run(Some(2));
    let output = Command::new(&program).arg("--prefix").arg(place.root()).uid(NOBODY).gid(NOBODY).output().unwrap();
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.contains("is an Asterisk by its name, and you may not see"), "{sentence}");
    assert_eq!(place.state(), before);
}

#[test]
#[cfg_attr(not(root), ignore = "only root can mount")]
fn where_processes_are_hidden_only_root_may_install() {
    for how in ["hidepid=1", "hidepid=2"] {
        let place = Place::eleven();
        let program = place.install();
        place.give_to(NOBODY);
        let before = place.state();
        let become_nobody = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups");
        let script = |who: &str| format!("mount -t proc -o {how} proc /proc && exec {who} \"$0\" --prefix \"$1\"");
        let run = |who: &str| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &script(who)]).arg(&program).arg(place.root()).output().unwrap()
        };
        let sentence = String::from_utf8(run(&become_nobody).stderr).unwrap();
        assert!(sentence.contains("hidepid"), "{sentence}");
        assert_eq!(place.state(), before);
        assert!(run("").status.success(), "root sees them all");
    }
}

#[test]
#[cfg_attr(not(root), ignore = "only root can become somebody else")]
fn a_stranger_blocks_nothing_by_a_name() {
    let place = Place::eleven();
    let named = place.root().join("asterisk");
    copy_program(Path::new("/bin/sleep"), &named);
    let mut stranger = Command::new(named).arg("60").uid(NOBODY).gid(NOBODY).spawn().unwrap();
    let installed = install(&place.files(), &place.host());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(!installed.unwrap().is_running);
}
