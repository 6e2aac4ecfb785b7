//! Finding the host: its version, its modules directory, and whether our modules load into it.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::{ELEVEN, Place, install, uninstall};
use installer::{Host, Location, MODULES, Now, Refusal, Symbols, Which};

#[test]
fn the_modules_directory_alone_is_enough() {
    let place = Place::eleven();
    let files = place.files();
    fs::remove_file(place.program()).unwrap();
    let before = place.state();
    let host = Host::find(&Which::WithModules(place.modules())).unwrap();
    assert_eq!(host.told(), "11", "known from the imports of the modules");
    let done = install(&files, &host).unwrap();
    assert!(matches!(done.now, Now::Ours { symbols: Symbols::Unknown }), "no module calls ast_log");
    assert!(done.sentence().contains("No program was found"), "{}", done.sentence());
    uninstall(&Location::of_ours(&Which::WithModules(place.modules())).unwrap()).unwrap();
    assert_eq!(place.state(), before);
}

#[test]
fn imports_of_other_modules_show_functions_and_build_options() {
    let place = Place::eleven();
    fs::remove_file(place.program()).unwrap();
    let install = || Host::find(&Which::WithModules(place.modules())).and_then(|host| install(&place.files(), &host));
    place.put("app_log.so", "void ast_log(void); void run(void) { ast_log(); }");
    let done = install().unwrap();
    assert!(matches!(done.now, Now::Ours { symbols: Symbols::AllThere }));
    place.uninstall().unwrap();

    place.put("app_log.so", "void _ast_sched_del(void); void run(void) { _ast_sched_del(); }");
    assert!(install().unwrap_err().to_string().contains("AST_DEVMODE"));
    let low_memory = "void ast_channel_name(void); void ast_format_set(void); void run(void) { ast_channel_name(); ast_format_set(); }";
    for module in ["app_log.so", "chan_sip.so", MODULES[0], MODULES[1], MODULES[2]] {
        place.put(module, low_memory);
    }
    assert!(install().unwrap_err().to_string().contains("LOW_MEMORY"));
}

#[test]
fn a_program_that_has_its_modules_elsewhere_says_nothing_of_these() {
    let place = Place::with_program("13.38.3", ELEVEN);
    let apart = place.root().join("opt/modules");
    fs::create_dir_all(&apart).unwrap();
    fs::copy(place.modules().join("chan_sip.so"), apart.join("chan_sip.so")).unwrap();
    let host = Host::find(&Which::WithModules(apart.clone())).unwrap();
    assert_eq!((host.told().as_str(), host.location().program()), ("11", None));

    // Unless its configuration names them.
    place.configure(&apart);
    assert_eq!(Host::find(&Which::WithModules(apart)).unwrap().told(), "13.38.3");
}

#[test]
fn of_several_directories_the_configuration_names_the_one() {
    let place = Place::eleven();
    let second = place.root().join("lib64/asterisk/modules");
    fs::create_dir_all(&second).unwrap();
    assert_eq!(place.host().location().modules(), place.modules(), "an empty one does not count");
    fs::copy(place.modules().join("chan_sip.so"), second.join("chan_sip.so")).unwrap();
    let (first, other) = (place.modules().display().to_string(), second.display().to_string());
    place.refuses(&[&first, &other, "--modules DIR"]);

    place.configure(&second);
    assert_eq!(place.host().location().modules(), second);
    place.configure(Path::new("/lib64/asterisk/modules"));
    assert_eq!(place.host().location().modules(), second, "of an image");
    fs::remove_file(place.root().join("etc/asterisk/asterisk.conf")).unwrap();

    // Uninstalling needs no choice.
    fs::write(place.modules().join("res_srtp.so"), "").unwrap();
    install(&place.files(), &Host::find(&Which::WithModules(second.clone())).unwrap()).unwrap();
    place.uninstall().unwrap();
    assert!(!second.join("res_srtp.so").exists());
}

#[test]
fn one_directory_in_two_places_is_one() {
    let place = Place::eleven();
    symlink("lib", place.root().join("lib64")).unwrap();
    assert_eq!(place.host().location().modules(), place.modules());
}

#[test]
fn a_modules_directory_may_be_anywhere() {
    let (place, other) = (Place::eleven(), Place::empty());
    let anywhere = other.root().join("anywhere");
    fs::rename(place.modules(), &anywhere).unwrap();
    place.configure(&anywhere);
    assert_eq!(place.host().location().modules(), anywhere);
    install(&place.files(), &place.host()).unwrap();
    place.uninstall().unwrap();
}

#[test]
fn a_configuration_with_parts_elsewhere_is_not_guessed_at() {
    let place = Place::eleven();
    place.configure(Path::new("/nowhere"));
    install(&place.files(), &place.host()).unwrap();
    place.uninstall().unwrap();
    let file = place.root().join("etc/asterisk/asterisk.conf");
    fs::write(file, "[directories]\n#include \"directories.conf\"\n").unwrap();
    place.refuses(&["Asterisk's modules may be in", "--modules DIR"]);
}

/// A copy of an installation by `cp -a`, with a configuration that still names the first one.
#[test]
fn a_copy_is_not_taken_for_what_it_was_copied_from() {
    let (original, copy) = (Place::eleven(), Place::eleven());
    copy.configure(&original.modules());
    let both = [original.modules().display().to_string(), copy.modules().display().to_string()];
    copy.refuses(&[&both[0], &both[1], "--modules DIR"]);

    install(&original.files(), &original.host()).unwrap();
    let installed = original.state();
    assert!(matches!(copy.uninstall(), Err(Refusal::NotInstalled(_))));
    assert_eq!(original.state(), installed);
}

#[test]
fn a_host_of_32_bits_is_named() {
    let place = Place::eleven();
    let mut program = fs::read(place.program()).unwrap();
    // ELFCLASS32, EM_386
    program[4] = 1;
    program[18..20].copy_from_slice(&[3, 0]);
    fs::remove_file(place.program()).unwrap();
    fs::write(place.program(), program).unwrap();
    let refusal = place.find().unwrap_err();
    assert!(
        refusal.to_string().contains("asterisk: this is for 32-bit x86, but the modules are for 64-bit"),
        "{refusal}"
    );
}

#[test]
fn modules_alone_tell_what_machine_they_are_for() {
    let place = Place::eleven();
    fs::remove_file(place.program()).unwrap();
    for module in fs::read_dir(place.modules()).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&module).unwrap();
        // EM_S390
        bytes[18..20].copy_from_slice(&[22, 0]);
        fs::write(&module, bytes).unwrap();
    }
    let refusal = Host::find(&Which::WithModules(place.modules())).unwrap_err();
    assert!(refusal.to_string().contains("this is for 64-bit IBM Z"), "{refusal}");
}

#[test]
fn a_certified_release_is_an_eleven() {
    let place = Place::with_program("certified/11.6-cert18", ELEVEN);
    let files = place.files();
    assert_eq!(place.host().told(), "certified/11.6-cert18");
    install(&files, &place.host()).unwrap();
}

/// Below a prefix the program may be anybody's, and root would run it.
#[test]
fn a_program_that_does_not_tell_its_version_is_not_run_to_ask() {
    let place = Place::eleven();
    fs::remove_file(place.program()).unwrap();
    fs::write(place.program(), "#!/bin/sh\n> \"$0.was-run\"\necho Asterisk 13.38.3\n").unwrap();
    fs::set_permissions(place.program(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(place.host().told(), "11", "known from the imports of the modules");
    place.replace_modules();
    let refusal = place.find().unwrap_err();
    assert!(refusal.to_string().contains("sbin/asterisk: neither this program nor its modules"), "{refusal}");
    assert_eq!(fs::read_dir(place.root().join("sbin")).unwrap().count(), 1);
}

#[test]
fn another_version_is_named() {
    let place = Place::with_program("13.38.3", ELEVEN);
    place.refuses(&["13.38.3", "the files are for Asterisk 11"]);
}

#[test]
fn modules_of_another_version_than_the_program_are_named() {
    let place = Place::eleven();
    place.replace_modules();
    place.refuses(&["not the modules of", "11.25.3"]);
}

#[test]
fn a_modules_directory_of_another_version_alone_is_not_guessed_at() {
    let place = Place::eleven();
    place.replace_modules();
    fs::remove_file(place.program()).unwrap();
    let refusal = Host::find(&Which::WithModules(place.modules())).unwrap_err();
    assert!(refusal.to_string().contains("--prefix"), "{refusal}");
}

#[test]
fn a_directory_of_something_else_is_no_modules_directory() {
    let place = Place::empty();
    fs::write(place.root().join("letter.txt"), "").unwrap();
    assert!(matches!(Host::find(&Which::WithModules(place.root().into())), Err(Refusal::NoModules(_))));
    let refusal = place.find().unwrap_err();
    assert!(refusal.to_string().contains("Name the directory that contains them: --prefix DIR"), "{refusal}");
    assert!(matches!(Host::find(&Which::WithModules(place.root().join("nowhere"))), Err(Refusal::System { .. })));
}

#[test]
fn unsupported_build_options_are_named() {
    let low_memory = ELEVEN.replace("ast_register_file_version", "something_else");
    Place::with_program("11.25.3", &low_memory).refuses(&["LOW_MEMORY"]);
    let developers = format!("{ELEVEN}void _ast_sched_del(void) {{}}\n");
    Place::with_program("11.25.3", &developers).refuses(&["AST_DEVMODE"]);
    let listed = format!("{ELEVEN}const char *ast_get_build_opts(void) {{ return \"LOADABLE_MODULES, NOVEL\"; }}\n");
    Place::with_program("11.25.3", &listed).refuses(&["NOVEL"]);
    let known =
        format!("{ELEVEN}const char *ast_get_build_opts(void) {{ return \"DONT_OPTIMIZE, LOADABLE_MODULES\"; }}\n");
    let place = Place::with_program("11.25.3", &known);
    install(&place.files(), &place.host()).unwrap();
}

#[test]
fn a_host_without_a_function_that_ours_call_is_refused() {
    let without = ELEVEN.replace("void ast_log", "void our_log");
    Place::with_program("11.25.3", &without).refuses(&["ast_log", "codec_opus_g719.so"]);
}
