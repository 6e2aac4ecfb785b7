//! Changes between states: interrupted installations, upgrades, and changes by others.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::{MODULE_OF_11, Place, check, compile, install};
use installer::{CODEC, MODULES, Now, Refusal};

#[test]
fn files_of_others_beside_the_originals_stay() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    let note = place.modules().join("originals/README");
    fs::write(&note, "of last year").unwrap();
    place.uninstall().unwrap();
    assert_eq!(fs::read_to_string(note).unwrap(), "of last year");
}

#[test]
fn a_manifest_that_lost_lines_takes_no_original_with_it() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    let manifest = place.modules().join("originals/manifest");
    let whole = fs::read_to_string(&manifest).unwrap();
    let without_last = whole.trim_end().rsplit_once('\n').unwrap().0;
    let without_sums: String = whole.lines().map(|line| format!("-{}\n", &line[line.find(' ').unwrap()..])).collect();
    // With swapped columns, our files would count as the originals.
    let swapped: String = whole.lines().map(|line| with_columns_swapped(line) + "\n").collect();
    for damaged in ["", without_last, &without_sums, &swapped] {
        fs::write(&manifest, damaged).unwrap();
        let before = place.state();
        let refusal = place.uninstall().unwrap_err();
        assert!(refusal.to_string().contains("manifest: this has changed since it was kept"), "{refusal}");
        assert_eq!(place.state(), before);
    }
    fs::write(&manifest, whole).unwrap();
    place.uninstall().unwrap();
}

fn with_columns_swapped(line: &str) -> String {
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [original, ours, module] => format!("{ours} {original} {module}"),
        _ => line.to_owned(),
    }
}

#[test]
fn ours_without_their_originals_are_named() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    fs::remove_dir_all(place.modules().join("originals")).unwrap();
    let refusal = place.uninstall().unwrap_err();
    assert!(
        refusal.to_string().contains("this is one of our modules, but there is no record of the original"),
        "{refusal}"
    );
}

#[test]
fn ours_are_not_installed_twice() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    let refusal = place.refuses(&["already"]);
    assert!(refusal.sentence("xyz --undo").contains("`xyz --undo` puts the originals back"), "{refusal}");
}

#[test]
fn one_that_was_copied_by_hand_is_named() {
    let place = Place::eleven();
    let ours = place.build_files();
    fs::copy(ours.join("res_srtp.so"), place.modules().join("res_srtp.so")).unwrap();
    place.refuses(&["res_srtp.so", "by hand"]);
}

#[test]
fn the_host_may_be_upgraded_over_ours() {
    let place = Place::eleven();
    let files = place.files_without_codec();
    install(&files, &place.host()).unwrap();
    place.upgrade(&MODULES);
    let upgraded = place.state();
    let refusal = place.uninstall().unwrap_err();
    assert!(matches!(refusal, Refusal::Replaced(_)), "{refusal}");
    assert_eq!(place.state(), upgraded);

    let done = install(&files, &place.host()).unwrap();
    assert!(done.sentence().contains("the originals in"), "{}", done.sentence());
    place.uninstall().unwrap();
    let without_kept: Vec<_> = upgraded.into_iter().filter(|line| !line.contains("./originals")).collect();
    assert_eq!(place.state(), without_kept, "the new originals, and nothing of the old ones");
}

/// The upgrade knows nothing of a module that replaces none.
#[test]
fn the_codec_goes_after_an_upgrade_over_ours_and_may_come_again() {
    let place = Place::eleven();
    let files = place.files();
    install(&files, &place.host()).unwrap();
    place.upgrade(&MODULES);
    let upgraded: Vec<_> = place.state().into_iter().filter(|line| !line.contains(CODEC)).collect();
    let done = place.uninstall().unwrap();
    assert_eq!(done.now, Now::Originals { replaced: MODULES.into() });
    assert_eq!(place.state(), upgraded);
    assert!(matches!(place.uninstall(), Err(Refusal::Replaced(_))));

    install(&files, &place.host()).unwrap();
    assert!(place.modules().join(CODEC).exists());
    place.uninstall().unwrap();
    let without_kept: Vec<_> = upgraded.into_iter().filter(|line| !line.contains("./originals")).collect();
    assert_eq!(place.state(), without_kept);
}

#[test]
fn files_with_the_codec_follow_files_without_it_and_the_other_way_round() {
    let place = Place::eleven();
    let before = place.state();
    let codec = place.modules().join(CODEC);
    install(&place.files_without_codec(), &place.host()).unwrap();
    assert!(!codec.exists());
    install(&place.files(), &place.host()).unwrap();
    assert!(codec.exists());
    install(&place.files_without_codec(), &place.host()).unwrap();
    assert!(!codec.exists(), "nobody would remove it later");
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

/// The codec was to be copied by hand once.
#[test]
fn a_codec_that_was_copied_by_hand_is_taken_over() {
    let place = Place::eleven();
    let before = place.state();
    let codec = place.modules().join(CODEC);
    install(&place.files_without_codec(), &place.host()).unwrap();
    fs::copy(place.build_files().join(CODEC), &codec).unwrap();
    install(&place.later_files(), &place.host()).unwrap();
    assert!(fs::read(&codec).unwrap() == fs::read(place.root().join("ours").join(CODEC)).unwrap());
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

/// Somebody else may have a module of that name.
#[test]
fn a_foreign_codec_of_that_name_comes_back() {
    let place = Place::eleven();
    place.put(CODEC, MODULE_OF_11);
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    install(&place.files_without_codec(), &place.host()).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
    install(&place.files(), &place.host()).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn modules_replaced_later_stay_and_the_other_originals_come_back() {
    let place = Place::eleven();
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    place.upgrade(&["res_srtp.so"]);
    let done = place.uninstall().unwrap();
    assert_eq!(done.now, Now::Originals { replaced: vec!["res_srtp.so"] });
    let sentence = done.sentence();
    assert!(
        sentence.contains("res_srtp.so came after ours") && sentence.contains("was left as it is; what"),
        "{sentence}"
    );
    let others =
        |state: Vec<String>| state.into_iter().filter(|line| !line.contains("srtp") && !line.contains("originals"));
    assert!(others(place.state()).eq(others(before.clone())));

    // The earlier original may be the user's only copy.
    let kept = place.modules().join("originals/res_srtp.so");
    fs::rename(kept, place.modules().join("res_srtp.so")).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

/// If there was no module before ours, nothing is kept.
#[test]
fn only_kept_originals_are_mentioned() {
    let place = Place::eleven();
    fs::remove_file(place.modules().join("res_http_websocket.so")).unwrap();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    install(&place.files(), &place.host()).unwrap();
    place.upgrade(&["res_http_websocket.so", "res_srtp.so"]);
    let sentence = place.uninstall().unwrap().sentence();
    assert!(sentence.contains("res_http_websocket.so and res_srtp.so came after ours"), "{sentence}");
    assert!(sentence.contains("were left as they are.") && !sentence.contains("originals is"), "{sentence}");
}

/// A host built without libsrtp installs no `res_srtp`, and leaves ours where it is.
#[test]
fn an_upgrade_may_leave_one_of_ours() {
    let place = Place::eleven();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    let files = place.files();
    install(&files, &place.host()).unwrap();
    place.upgrade(&["res_http_websocket.so", "res_rtp_asterisk.so"]);
    install(&files, &place.host()).unwrap();
    place.uninstall().unwrap();
    assert!(!place.modules().join("res_srtp.so").exists(), "the host has none");
    assert!(!place.modules().join("originals").exists());
}

/// A package built without libsrtp removes `res_srtp`, even if it is ours.
#[test]
fn an_upgrade_may_take_one_of_ours_away() {
    let place = Place::eleven();
    let files = place.files();
    install(&files, &place.host()).unwrap();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    place.upgrade(&["res_http_websocket.so", "res_rtp_asterisk.so"]);
    place.uninstall().unwrap();
    assert!(!place.modules().join(CODEC).exists(), "nobody else removes it");
    assert!(matches!(place.uninstall(), Err(Refusal::Replaced(_))));
    assert!(place.modules().join("originals/res_srtp.so").exists());
    install(&files, &place.host()).unwrap();
    place.uninstall().unwrap();
    assert!(!place.modules().join("res_srtp.so").exists(), "the new host has none");
}

#[test]
fn one_of_ours_that_was_deleted_comes_back_as_the_original() {
    let place = Place::eleven();
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn a_check_before_a_build_reports_obstacles_and_changes_nothing() {
    let place = Place::eleven();
    let before = place.state();
    check(&place.host()).unwrap();
    let _talking = place.run(Some(1));
    assert!(matches!(check(&place.host()), Err(Refusal::CallsUp { .. })));
    assert_eq!(place.state(), before);
}

#[test]
fn a_later_release_of_ours_takes_the_place_of_an_earlier_one() {
    let place = Place::eleven();
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    install(&place.later_files(), &place.host()).unwrap();
    for module in MODULES.into_iter().chain([CODEC]) {
        let (there, later) = (place.modules().join(module), place.root().join("ours").join(module));
        assert!(fs::read(there).unwrap() == fs::read(later).unwrap(), "{module}");
    }
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

/// Our modules installed by `make install` of a tree with `contrib/menuselect`.
#[test]
fn modules_installed_in_another_way_count_as_ours() {
    let place = Place::eleven();
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    place.later_files();
    fs::copy(place.root().join("ours/res_srtp.so"), place.modules().join("res_srtp.so")).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn leftovers_of_a_killed_installer_are_no_obstacle() {
    let place = Place::eleven();
    let before = place.state();
    let litter = || {
        fs::create_dir_all(place.modules().join("originals")).unwrap();
        for name in
            ["originals/.manifest.new", ".res_srtp.so.new", ".res_rtp_asterisk.so.before", "originals/.manifest.before"]
        {
            fs::write(place.modules().join(name), "half").unwrap();
        }
    };
    litter();
    install(&place.files(), &place.host()).unwrap();
    assert!(place.state().iter().all(|line| !line.contains("/.")), "{:?}", place.state());
    litter();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
    litter();
    assert!(matches!(place.uninstall(), Err(Refusal::NotInstalled(_))));
    assert_eq!(place.state(), before);
}

/// Kills the installer before each step that changes anything: in a first installation, in one over an earlier
/// release, and in an uninstallation. Then runs it once more, in either direction.
#[test]
fn killed_at_any_step_everything_can_be_undone() {
    let place = Place::eleven();
    let earlier = place.files();
    let program = place.install();
    let later = place.later_files();
    let before = place.state();
    // An empty directory may exist already.
    let is_as_before = || {
        let now: Vec<_> = place.state().into_iter().filter(|line| !line.contains("./originals d")).collect();
        assert_eq!(now, before);
    };
    let killer = place.root().join("killer.so");
    compile(KILLER, &["-shared", "-fPIC", "-ldl"], &killer);
    let killed_after = |steps: u32, words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).arg("--prefix").arg(place.root()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.env("LD_PRELOAD", &killer).env("STEPS", steps.to_string()).status().unwrap();
        for module in MODULES {
            assert!(place.modules().join(module).exists(), "{module}");
        }
        status.signal().is_some()
    };
    for (there, words) in [(None, &[][..]), (Some(&earlier), &[]), (Some(&later), &["--undo"])] {
        let prepare = || there.map(|files| install(files, &place.host()).unwrap());
        for again_by in ["undo", "install"] {
            let mut steps = 0;
            prepare();
            while killed_after(steps, words) {
                if again_by == "install" {
                    let again = place.find().and_then(|host| install(&later, &host));
                    assert!(matches!(again, Ok(_) | Err(Refusal::AlreadyInstalled(_))), "{steps}: {again:?}");
                }
                let undone = place.uninstall();
                assert!(matches!(undone, Ok(_) | Err(Refusal::NotInstalled(_))), "{steps}: {undone:?}");
                is_as_before();
                steps += 1;
                prepare();
            }
            assert!(steps > 10, "{words:?} has {steps} steps");
            let _ = place.uninstall();
            is_as_before();
        }
    }
}

/// Lets each step that can fail do so, or all from one on: in a first installation, in one over an earlier release, in
/// one after an upgrade of the host, and in an uninstallation. The host came without `res_srtp`.
#[test]
fn after_any_failure_everything_can_be_undone() {
    let place = Place::eleven();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    let (earlier, program, later) = (place.files(), place.install(), place.later_files());
    let original = place.state();
    let shell = |script| {
        assert!(Command::new("sh").args(["-c", script]).current_dir(place.root()).status().unwrap().success());
    };
    shell("cp -a lib saved");
    let breaker = place.root().join("breaker.so");
    compile(KILLER, &["-shared", "-fPIC", "-ldl"], &breaker);
    // The next run removes hidden names, and the times of the directory show that something was in it.
    let is_told = |line: &String| !line.contains("/.") && !line.contains("./originals d");
    let state = || place.state().into_iter().filter(is_told).collect::<Vec<_>>();
    let fails = |situation: &str, how: &str, steps: u32| {
        let words = if situation == "undo" { &["--undo"][..] } else { &[] };
        match situation {
            "first" => {}
            "undo" => drop(install(&later, &place.host()).unwrap()),
            _ => drop(install(&earlier, &place.host()).unwrap()),
        }
        if situation == "upgraded" {
            place.upgrade(&["res_http_websocket.so", "res_rtp_asterisk.so"]);
        }
        let before = state();
        let mut command = Command::new(&program);
        command.args(words).arg("--prefix").arg(place.root()).env("LD_PRELOAD", &breaker);
        let output = command.env("STEPS", steps.to_string()).env("FAIL", how).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let context = format!("{situation}, step {steps} {how}: {told}");
        if output.status.code() == Some(1) && how == "once" {
            assert_eq!(state(), before, "{context}");
        }
        if situation == "upgraded" {
            let again = install(&later, &place.host());
            assert!(matches!(again, Ok(_) | Err(Refusal::AlreadyInstalled(_))), "{context}{again:?}");
        }
        let undone = place.uninstall();
        assert!(matches!(undone, Ok(_) | Err(Refusal::NotInstalled(_))), "{context}{undone:?}");
        if situation == "upgraded" {
            assert!(!place.modules().join("originals").exists(), "{context}");
            shell("rm -r lib && cp -a saved lib");
        }
        assert_eq!(place.state(), original, "{context}");
        told.contains("failed on purpose")
    };
    for situation in ["first", "earlier", "upgraded", "undo"] {
        for how in ["once", "from then on"] {
            let steps = (0..).take_while(|steps| fails(situation, how, *steps)).count();
            assert!(steps > 10, "{situation} has {steps} steps");
        }
    }
}

/// Ends the process after a number of steps, like a power failure; with `FAIL`, the step fails instead.
const KILLER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define STEP(type, name, parameters, arguments) \
    type name parameters { return step() ? -1 : ((type (*) parameters) dlsym(RTLD_NEXT, #name)) arguments; }
static int step(void)
{
    static int left = -2, has_failed;
    if (left == -2) left = atoi(getenv("STEPS"));
    const char *fail = getenv("FAIL");
    if (!fail && left == 0) kill(getpid(), SIGKILL);
    if (fail && (left == 0 || has_failed && !strcmp(fail, "from then on"))) {
        if (!has_failed++) dprintf(2, "failed on purpose\n");
        if (left >= 0) left--;
        errno = EIO;
        return 1;
    }
    if (left >= 0) left--;
    return 0;
}
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, link, (const char *from, const char *to), (from, to))
STEP(int, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
STEP(int, unlink, (const char *path), (path))
STEP(int, mkdir, (const char *path, mode_t mode), (path, mode))
STEP(int, rmdir, (const char *path), (path))
int fsync(int file)
{
    // fsync changes nothing, but it can fail.
    if (getenv("FAIL") && step()) return -1;
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(file);
}
ssize_t write(int file, const void *bytes, size_t length)
{
    // Output changes nothing.
    if (file > 2 && step()) return -1;
    return ((ssize_t (*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write"))(file, bytes, length);
}
"#;

#[test]
fn a_directory_that_is_not_ours_is_not_taken_for_ours() {
    let place = Place::eleven();
    let originals = place.modules().join("originals");
    fs::create_dir(&originals).unwrap();
    fs::copy(place.modules().join("res_srtp.so"), originals.join("res_srtp.so")).unwrap();
    place.refuses(&["originals: this is in the way", "no manifest"]);
    assert!(matches!(place.uninstall(), Err(Refusal::NotOurs(_))));

    // Other files in there do not matter.
    fs::rename(originals.join("res_srtp.so"), originals.join("res_srtp.so.2014")).unwrap();
    let all_but_times = || place.state().into_iter().filter(|line| !line.contains("./originals d")).collect::<Vec<_>>();
    let before = all_but_times();
    install(&place.files(), &place.host()).unwrap();
    place.uninstall().unwrap();
    assert_eq!(all_but_times(), before);
}

#[test]
fn nothing_but_the_modules_directory_is_needed_to_go_back() {
    let place = Place::eleven();
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    fs::remove_dir_all(place.root().join("sbin")).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn the_version_does_not_matter_to_go_back() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    fs::write(place.program(), "#!/bin/false\n").unwrap();
    fs::remove_file(place.modules().join("chan_sip.so")).unwrap();
    assert!(matches!(place.find(), Err(Refusal::NoModules(_) | Refusal::UnknownVersion(_))));
    place.uninstall().unwrap();
}

#[test]
fn an_original_that_is_no_longer_the_original_is_not_put_back() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    fs::write(place.modules().join("originals/res_srtp.so"), "rot").unwrap();
    let before = place.state();
    assert!(matches!(place.uninstall(), Err(Refusal::Damaged(_))));
    assert_eq!(place.state(), before);
}

#[test]
fn an_installation_that_was_cut_off_can_be_undone() {
    let place = Place::eleven();
    let before = place.state();
    install(&place.files(), &place.host()).unwrap();
    // As after a power failure after the first module.
    for module in &MODULES[1..] {
        fs::rename(place.modules().join("originals").join(module), place.modules().join(module)).unwrap();
    }
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}
