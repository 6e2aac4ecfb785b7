//! Installations that are small enough to be compiled for each test: a program that answers as an Asterisk does, modules that
//! import what those of its version import, and files that look like ours.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use installer::{Done, Files, Host, Location, MODULES, Refusal, Which, install, uninstall};

/// Who owns nothing.
pub const NOBODY: u32 = 65534;

/// One installation, in a directory that goes with the value.
pub struct Place {
    root: PathBuf,
}

/// What a program of Asterisk 11 exports, as far as it is looked at.
pub const ELEVEN: &str = "\
    const char *ast_get_version(void) { return VERSION; }\n\
    void ast_register_file_version(void) {}\nvoid ast_channel_name(void) {}\nvoid ast_format_set(void) {}\n\
    void ast_log(void) {}\n";

/// What a module of Asterisk 11 imports.
pub const MODULE_OF_11: &str = "\
    void ast_channel_name(void);\nvoid ast_format_set(void);\nvoid ast_register_file_version(void);\n\
    void run(void) { ast_channel_name(); ast_format_set(); ast_register_file_version(); }\n";

/// What one of Asterisk 13 imports.
const MODULE_OF_13: &str = "void ast_channel_name(void); void stasis_publish(void);\n\
    void run(void) { ast_channel_name(); stasis_publish(); }\n";

/// What ours import, and how they are known.
const OURS: &str = "\
    __attribute__((section(\".note.webrtc-modules\"))) const int note[] = { 15, 0, 0, 0 };\n\
    void ast_log(void);\nvoid run(void) { ast_log(); }\n";

impl Place {
    /// An Asterisk 11 with its three originals and one more module.
    pub fn eleven() -> Self {
        Self::with_program("11.25.3", ELEVEN)
    }

    /// The same with another program.
    pub fn with_program(version: &str, program: &str) -> Self {
        // A path may be anything, also no UTF-8.
        let place = Self::named(OsStr::from_bytes(b"-\xff"));
        fs::create_dir_all(place.root.join("sbin")).unwrap();
        fs::create_dir_all(place.modules()).unwrap();
        let main = "int main(int argc, char **argv) { return answer(argc, argv); }\n";
        let source = format!("#define VERSION \"{version}\"\n{RUNNING}{program}{main}");
        compile(&source, &["-rdynamic", "-ldl"], &place.program());
        for module in ["chan_sip.so", "res_http_websocket.so", "res_srtp.so", "res_rtp_asterisk.so"] {
            module_from(MODULE_OF_11, module, &place.modules().join(module));
        }
        place
    }

    /// The modules become those of an Asterisk 13.
    pub fn replace_modules(&self) {
        for module in fs::read_dir(self.modules()).unwrap() {
            module_from(MODULE_OF_13, "", &module.unwrap().path());
        }
    }

    /// A directory for whatever.
    pub fn empty() -> Self {
        Self::named("")
    }

    fn named(end: impl AsRef<OsStr>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut name = OsString::from(format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        name.push(end);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&root).unwrap();
        Self { root: root.canonicalize().unwrap() }
    }

    /// What looks like ours, for Asterisk 11, in `ours/`.
    pub fn files(&self) -> Files {
        Files::in_directory(&self.build_files()).unwrap()
    }

    /// Those of a later release.
    pub fn later_files(&self) -> Files {
        let directory = self.build_files();
        for module in MODULES {
            module_from(OURS, &format!("{module}, a later release"), &directory.join(module));
        }
        Files::seal(&directory, "11").unwrap();
        Files::in_directory(&directory).unwrap()
    }

    /// Compiles one.
    pub fn put(&self, module: &str, source: &'static str) {
        module_from(source, module, &self.modules().join(module));
    }

    /// Its configuration names this modules directory.
    pub fn configure(&self, modules: &Path) {
        let directory = self.root.join("etc/asterisk");
        fs::create_dir_all(&directory).unwrap();
        let text = [b"[directories]\nastmoddir => ", modules.as_os_str().as_bytes(), b"\n"].concat();
        fs::write(directory.join("asterisk.conf"), text).unwrap();
    }

    /// `make install` of the next release of the host: its own modules again, and others than before.
    pub fn upgrade(&self, modules: &[&str]) {
        for module in modules {
            let path = self.modules().join(module);
            let _ = fs::remove_file(&path);
            module_from(MODULE_OF_11, &format!("{module} of the next release"), &path);
        }
    }

    /// The host.
    pub fn find(&self) -> Result<Host, Refusal> {
        Host::find(&Which::Below(self.root.clone()))
    }

    /// The same, where there is no doubt.
    pub fn host(&self) -> Host {
        self.find().unwrap()
    }

    /// Installs, and expects a refusal that has these words and leaves no trace.
    pub fn refuses(&self, words: &[&str]) -> Refusal {
        let files = self.files();
        let before = self.state();
        let refusal = self.find().and_then(|host| install(&files, &host)).unwrap_err();
        let sentence = refusal.to_string();
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
        assert_eq!(self.state(), before, "{sentence}");
        refusal
    }

    /// Takes ours out.
    pub fn uninstall(&self) -> Result<Done, Refusal> {
        uninstall(&Location::of_ours(&Which::Below(self.root.clone()))?)
    }

    /// The directory that [`Place::files`] reads.
    pub fn build_files(&self) -> PathBuf {
        let directory = self.root.join("ours");
        fs::create_dir_all(&directory).unwrap();
        for module in MODULES {
            module_from(OURS, module, &directory.join(module));
        }
        Files::seal(&directory, "11").unwrap();
        directory
    }

    /// The prefix.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        self.root.join("sbin/asterisk")
    }

    /// The modules directory.
    pub fn modules(&self) -> PathBuf {
        self.root.join("lib/asterisk/modules")
    }

    /// Everything in the modules directory that a person or a package manager could notice: names, contents, owners, modes,
    /// times.
    pub fn state(&self) -> Vec<String> {
        let list = Command::new("sh")
            .arg("-c")
            .arg("find . -printf '%p %y %U:%G %m %T@ %l\\n' | grep -v '^\\. ' | sort; find . -type f -exec sha256sum {} + | sort")
            .current_dir(self.modules())
            .output()
            .unwrap();
        String::from_utf8(list.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Starts the program, which loads a module and then has so many channels up; `None` for one that does not tell.
    pub fn run(&self, channels: Option<u32>) -> Running {
        self.says(channels);
        Running::start(Command::new(self.program()).arg("-C").arg(&self.root))
    }

    /// What its console answers from now on.
    pub fn says(&self, channels: Option<u32>) {
        fs::write(self.root.join("channels"), channels.map_or(String::new(), |count| count.to_string())).unwrap();
    }

    /// The program `install`, beside what looks like ours, for this place.
    pub fn install(&self) -> PathBuf {
        let program = self.build_files().join("install");
        copy_program(Path::new(env!("CARGO_BIN_EXE_install")), &program);
        program
    }

    /// That program for this place, by way of another that runs it, where there are no processes but its own.
    pub fn alone(&self, by_way_of: &str, words: &str) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("exec {by_way_of} \"$0\" {words} --prefix \"$PWD\"");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", &script]).current_dir(&self.root);
        command
    }

    /// That program for this place, after commands that nobody else notices the mounts of.
    pub fn after(&self, commands: &str) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("set -e; {commands}\n\"$0\" --prefix .");
        command.args(["--mount", "sh", "-c", &script]).current_dir(&self.root);
        command
    }

    /// Everything becomes somebody's.
    pub fn give_to(&self, user: u32) {
        assert!(
            Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(&self.root).status().unwrap().success()
        );
    }
}

/// By a process of its own: a program that somebody has open for writing cannot be run, and what another thread starts just
/// then has open what we have.
pub fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A running program, which ends with the value.
pub struct Running(Child);

impl Running {
    /// Returns when the program says that it is ready.
    pub fn start(program: &mut Command) -> Self {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes the options of an Asterisk. `-C <root>` runs, with a module of `MODULES` or of the root's; with `-x` it answers from
/// what the root says; `-V` says the version.
const RUNNING: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int answer(int argc, char **argv)
{
    char path[4096], count[16] = "", *root = "", *command = NULL, *modules = getenv("MODULES");
    for (int c; (c = getopt(argc, argv, "BC:cde:FfG:ghIiL:M:mnpqRrs:TtU:VvWXx:")) != -1;) {
        if (c == 'C') root = optarg;
        if (c == 'x') command = optarg;
        if (c == 'V') return !printf("Asterisk " VERSION "\n");
    }
    if (command) {
        snprintf(path, sizeof path, "%s/channels", root);
        FILE *file = fopen(path, "r");
        if (!file && access(root, F_OK)) {
            fprintf(stderr, "Unable to open specified master config file '%s', using built-in defaults\n", root);
            return !printf("0 active channels\n");
        }
        if (strcmp(command, "core show channels count") || !file || !fgets(count, sizeof count, file)) return 1;
        return !printf("%s active channels\n%s active calls\n7 calls processed\n", count, count);
    }
    snprintf(path, sizeof path, "%s/%s/chan_sip.so", modules ? "" : root, modules ? modules : "lib/asterisk/modules");
    if (!dlopen(path, RTLD_LAZY)) return 1;
    putchar('.');
    fflush(stdout);
    sleep(60);
    return 0;
}
"#;

/// Compiled once for each source; what follows the last section of a file makes one like no other.
fn module_from(source: &'static str, name: &str, output: &Path) {
    static COMPILED: Mutex<BTreeMap<&str, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let module = compiled.entry(source).or_insert_with(|| {
        let scratch = Place::empty();
        let file = scratch.root.join("module.so");
        compile(source, &["-shared", "-fPIC"], &file);
        fs::read(file).unwrap()
    });
    fs::write(output, [module.as_slice(), name.as_bytes()].concat()).unwrap();
}

/// Compiles C.
pub fn compile(source: &str, options: &[&str], output: &Path) {
    let mut compiler = Command::new("cc")
        .args(["-O1", "-w", "-x", "c", "-", "-o"])
        .arg(output)
        .args(options)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler");
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success(), "{source}");
}
