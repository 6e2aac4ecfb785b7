//! Installing and uninstalling, and files in the modules directory that prevent it.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use common::{Place, install};
use installer::{CODEC, Done, Files, MODULES, Now, Refusal, Symbols};

#[test]
fn ours_go_in_and_the_originals_come_back_as_they_were() {
    let place = Place::eleven();
    let files = place.files();
    fs::set_permissions(place.modules().join("res_srtp.so"), fs::Permissions::from_mode(0o750)).unwrap();
    let before = place.state();

    let Done { now, is_running, .. } = install(&files, &place.host()).unwrap();
    assert_eq!((now, is_running), (Now::Ours { symbols: Symbols::AllThere }, false));
    for module in MODULES.into_iter().chain([CODEC]) {
        let ours = fs::read(place.root().join("ours").join(module)).unwrap();
        assert!(fs::read(place.modules().join(module)).unwrap() == ours, "{module}");
    }
    let mode = fs::metadata(place.modules().join("res_srtp.so")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750, "as the original's");

    assert_eq!(place.uninstall().unwrap().now, Now::Originals { replaced: Vec::new() });
    assert_eq!(place.state(), before);
    assert!(matches!(place.uninstall(), Err(Refusal::NotInstalled(_))));
}

#[test]
fn a_module_that_the_host_came_without_goes_again() {
    let place = Place::eleven();
    let files = place.files();
    fs::remove_file(place.modules().join("res_srtp.so")).unwrap();
    let before = place.state();
    install(&files, &place.host()).unwrap();
    assert!(place.modules().join("res_srtp.so").exists());
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn an_original_that_is_a_link_is_a_link_again() {
    let place = Place::eleven();
    let files = place.files();
    let (link, file) = (place.modules().join("res_srtp.so"), place.root().join("elsewhere.so"));
    fs::rename(&link, &file).unwrap();
    symlink(&file, &link).unwrap();
    let before = place.state();
    install(&files, &place.host()).unwrap();
    assert!(!link.is_symlink());
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn a_link_may_be_relative() {
    let place = Place::eleven();
    let files = place.files();
    let link = place.modules().join("res_srtp.so");
    fs::create_dir(place.modules().join("packaged")).unwrap();
    fs::rename(&link, place.modules().join("packaged/res_srtp.so")).unwrap();
    symlink("packaged/res_srtp.so", &link).unwrap();
    let before = place.state();
    install(&files, &place.host()).unwrap();
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn a_link_that_leads_nowhere_is_kept_as_it_is() {
    let place = Place::eleven();
    let files = place.files();
    let link = place.modules().join("res_srtp.so");
    fs::remove_file(&link).unwrap();
    symlink("/nowhere/res_srtp.so", &link).unwrap();
    let before = place.state();
    install(&files, &place.host()).unwrap();
    assert!(link.is_file() && !link.is_symlink());
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

/// The modules directory often belongs to the host's user, who must not gain root's rights through it.
#[test]
fn a_link_does_not_lead_root_elsewhere() {
    let place = Place::eleven();
    let (originals, victim) = (place.modules().join("originals"), place.root().join("victim"));
    fs::create_dir(&victim).unwrap();
    symlink(&victim, &originals).unwrap();
    fs::write(victim.join(".manifest.new"), "theirs").unwrap();
    place.refuses(&["originals: this is in the way"]);
    assert!(matches!(place.uninstall(), Err(Refusal::NotOurs(_))));
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}

#[test]
fn installed_files_get_no_set_user_id_bit() {
    let place = Place::eleven();
    let (files, link, target) = (place.files(), place.modules().join("res_http_websocket.so"), place.root().join("su"));
    fs::set_permissions(place.modules().join("res_srtp.so"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::rename(&link, &target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o4700)).unwrap();
    symlink(&target, &link).unwrap();
    let before = place.state();
    install(&files, &place.host()).unwrap();
    assert_eq!(fs::metadata(&link).unwrap().permissions().mode() & 0o777, 0o755, "a link's target is not asked");
    for module in MODULES {
        let mode = fs::metadata(place.modules().join(module)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0, "{module}");
    }
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn one_at_a_time() {
    let place = Place::eleven();
    let other = fs::File::open(place.modules()).unwrap();
    other.lock().unwrap();
    place.refuses(&["most likely another installation"]);
    other.unlock().unwrap();
    install(&place.files(), &place.host()).unwrap();
}

/// Reading a FIFO would block for ever.
#[test]
fn something_else_than_a_file_in_place_of_a_module_is_refused() {
    let place = Place::eleven();
    let third = place.modules().join("res_rtp_asterisk.so");
    for make in ["mkdir", "mkfifo"] {
        fs::remove_file(&third).or_else(|_| fs::remove_dir(&third)).unwrap();
        assert!(Command::new(make).arg(&third).status().unwrap().success());
        place.refuses(&["res_rtp_asterisk.so: this should be a file"]);
    }
    fs::remove_file(&third).unwrap();
    let _socket = UnixListener::bind(&third).unwrap();
    place.refuses(&["res_rtp_asterisk.so: this should be a file"]);
}

#[test]
fn something_else_than_a_file_beside_the_modules_is_ignored() {
    let place = Place::eleven();
    assert!(Command::new("mkfifo").arg(place.modules().join("app_pipe.so")).status().unwrap().success());
    install(&place.files(), &place.host()).unwrap();
    place.uninstall().unwrap();
}

/// The bytes `/rustc/` in a file are not enough: other modules in Rust contain them, too.
#[test]
fn files_that_are_not_ours_are_not_installed() {
    let place = Place::eleven();
    let directory = place.build_files();
    let rust = fs::read(place.modules().join("chan_sip.so")).unwrap();
    fs::write(directory.join("res_srtp.so"), [rust.as_slice(), b"/rustc/"].concat()).unwrap();
    Files::seal(&directory, "11", None).unwrap();
    let refusal = Files::in_directory(&directory).unwrap_err();
    assert!(refusal.to_string().contains("res_srtp.so: this is not one of our modules"), "{refusal}");
}

#[test]
fn files_that_were_cut_off_are_not_installed() {
    let place = Place::eleven();
    let directory = place.build_files();
    let file = directory.join("res_srtp.so");
    let whole = fs::read(&file).unwrap();
    let refused = |words: &str| {
        let refusal = Files::in_directory(&directory).unwrap_err();
        assert!(refusal.to_string().contains(words), "{refusal}");
    };
    for length in [whole.len() - 1, 64, 0] {
        fs::write(&file, &whole[..length]).unwrap();
        refused("res_srtp.so: it differs from what was built");
    }
    fs::write(&file, &whole).unwrap();
    fs::write(directory.join("made-for"), "16").unwrap();
    refused("made-for: it differs from what was built");
    fs::remove_file(directory.join("SHA256SUMS")).unwrap();
    refused("SHA256SUMS: it is missing");
}

/// For users without the program `install`.
#[test]
fn the_sums_are_those_of_sha256sum() {
    let place = Place::eleven();
    place.install();
    let directory = place.root().join("ours");
    Files::seal(&directory, "11", None).unwrap();
    let check =
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(directory).output().unwrap();
    let told = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{told}");
    for file in MODULES.into_iter().chain([CODEC, "made-for", "install"]) {
        assert!(told.contains(&format!("{file}: OK")), "{told}");
    }
}
