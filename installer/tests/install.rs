//! In and out again, and everything that keeps the modules out: after each refusal all is as it was.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use common::Place;
use installer::{Done, MODULES, Now, Refusal, install};

#[test]
fn ours_go_in_and_the_originals_come_back_as_they_were() {
    let place = Place::eleven();
    let files = place.files();
    fs::set_permissions(place.modules().join("res_srtp.so"), fs::Permissions::from_mode(0o750)).unwrap();
    let before = place.state();

    let Done { now, is_running, .. } = install(&files, &place.host()).unwrap();
    assert_eq!((now, is_running), (Now::Ours, false));
    for module in MODULES {
        let ours = fs::read(place.root().join("ours").join(module)).unwrap();
        assert!(fs::read(place.modules().join(module)).unwrap() == ours, "{module}");
    }
    let mode = fs::metadata(place.modules().join("res_srtp.so")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750, "as the original's");

    assert_eq!(place.uninstall().unwrap().now, Now::Originals);
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
fn what_somebody_else_keeps_beside_the_originals_stays() {
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
    for damaged in ["", without_last, &without_sums] {
        fs::write(&manifest, damaged).unwrap();
        let before = place.state();
        let refusal = place.uninstall().unwrap_err();
        assert!(refusal.to_string().contains("manifest: this is not as it was kept"), "{refusal}");
        assert_eq!(place.state(), before);
    }
    fs::write(&manifest, whole).unwrap();
    place.uninstall().unwrap();
}

#[test]
fn one_at_a_time() {
    let place = Place::eleven();
    let other = fs::File::open(place.modules()).unwrap();
    other.lock().unwrap();
    place.refuses(&["another installation is under way"]);
    other.unlock().unwrap();
    install(&place.files(), &place.host()).unwrap();
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
fn an_upgrade_of_the_host_is_not_undone() {
    let place = Place::eleven();
    install(&place.files(), &place.host()).unwrap();
    fs::copy(place.modules().join("chan_sip.so"), place.modules().join("res_srtp.so")).unwrap();
    let before = place.state();
    let refusal = place.uninstall().unwrap_err();
    assert!(refusal.to_string().contains("upgrade"), "{refusal}");
    assert_eq!(place.state(), before);
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
    // As if the power had gone after the first module.
    for module in &MODULES[1..] {
        fs::rename(place.modules().join("originals").join(module), place.modules().join(module)).unwrap();
    }
    place.uninstall().unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn a_directory_in_the_place_of_a_module_is_refused() {
    let place = Place::eleven();
    let third = place.modules().join("res_rtp_asterisk.so");
    fs::remove_file(&third).unwrap();
    fs::create_dir(&third).unwrap();
    place.refuses(&["res_rtp_asterisk.so"]);
}

#[test]
fn files_that_are_not_ours_are_not_installed() {
    let place = Place::eleven();
    let directory = place.build_files();
    fs::copy(place.modules().join("chan_sip.so"), directory.join("res_srtp.so")).unwrap();
    let refusal = installer::Files::in_directory(&directory).unwrap_err();
    assert!(refusal.to_string().contains("not one of ours"), "{refusal}");
}
