//! Small installations that each test compiles: a program that answers like an Asterisk, modules with the imports of
//! its version, and files that look like our modules.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use installer::{CODEC, Done, Files, Host, Location, MODULES, Processes, Refusal, Which};

/// A user id that owns no files.
pub const NOBODY: u32 = 65534;

/// One installation, in a directory that is removed on drop.
pub struct Place {
    root: PathBuf,
}

/// The relevant exports of an Asterisk 11 program.
pub const ELEVEN: &str = "\
    const char *ast_get_version(void) { return VERSION; }\n\
    void ast_register_file_version(void) {}\nvoid ast_channel_name(void) {}\nvoid ast_format_set(void) {}\n\
    void ast_log(void) {}\n";

/// The imports of a module of Asterisk 11.
pub const MODULE_OF_11: &str = "\
    void ast_channel_name(void);\nvoid ast_format_set(void);\nvoid ast_register_file_version(void);\n\
    void run(void) { ast_channel_name(); ast_format_set(); ast_register_file_version(); }\n";

/// The imports of a module of Asterisk 13.
const MODULE_OF_13: &str = "void ast_channel_name(void); void stasis_publish(void);\n\
    void run(void) { ast_channel_name(); stasis_publish(); }\n";

/// The imports of our modules, and the note that identifies them.
const OURS: &str = "\
    __attribute__((section(\".note.webrtc-modules\"))) const int note[] = { 15, 0, 0, 0 };\n\
    void ast_log(void);\nvoid run(void) { ast_log(); }\n";

impl Place {
    /// An Asterisk 11 with its three originals and one more module.
    pub fn eleven() -> Self {
        Self::with_program("11.25.3", ELEVEN)
    }

    /// An Asterisk of this version with another program.
    pub fn with_program(version: &str, program: &str) -> Self {
        // Paths may contain any bytes, even invalid UTF-8.
        let place = Self::named(OsStr::from_bytes(b"-\xff"));
        fs::create_dir_all(place.root.join("sbin")).unwrap();
        fs::create_dir_all(place.modules()).unwrap();
        let main = "int main(int argc, char **argv) { return argc == 3 ? run(argv[2]) : 1; }\n";
        let source = format!("#define VERSION \"{version}\"\n{RUNNING}{program}{main}");
        compile(&source, &["-rdynamic", "-ldl"], &place.program());
        for module in ["chan_sip.so", "res_http_websocket.so", "res_srtp.so", "res_rtp_asterisk.so"] {
            module_from(MODULE_OF_11, module, &place.modules().join(module));
        }
        place
    }

    /// Replaces the modules by those of an Asterisk 13.
    pub fn replace_modules(&self) {
        for module in fs::read_dir(self.modules()).unwrap() {
            module_from(MODULE_OF_13, "", &module.unwrap().path());
        }
    }

    /// An empty directory.
    pub fn empty() -> Self {
        Self::named("")
    }

    fn named(end: impl AsRef<OsStr>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let root = loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(format!("installer-{}-{count}", std::process::id()));
            name.push(&end);
            let root = home().join(name);
            match fs::create_dir(&root) {
                // The directory of a killed process with the same number, or of one in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => break made.map(|()| root).unwrap(),
            }
        };
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        Self { root: root.canonicalize().unwrap() }
    }

    /// Files that look like our modules for Asterisk 11, in `ours/`.
    pub fn files(&self) -> Files {
        Files::in_directory(&self.build_files()).unwrap()
    }

    /// Files without the codec, as those for later versions of Asterisk and earlier releases of ours.
    pub fn files_without_codec(&self) -> Files {
        let directory = self.build_files();
        fs::remove_file(directory.join(CODEC)).unwrap();
        Files::seal(&directory, "11", None).unwrap();
        Files::in_directory(&directory).unwrap()
    }

    /// Files that look like a later release of our modules.
    pub fn later_files(&self) -> Files {
        let directory = self.build_files();
        for module in MODULES.into_iter().chain([CODEC]) {
            module_from(OURS, &format!("{module}, a later release"), &directory.join(module));
        }
        Files::seal(&directory, "11", None).unwrap();
        Files::in_directory(&directory).unwrap()
    }

    /// Compiles a module into the modules directory.
    pub fn put(&self, module: &str, source: &'static str) {
        module_from(source, module, &self.modules().join(module));
    }

    /// Writes a configuration that names this modules directory.
    pub fn configure(&self, modules: &Path) {
        let directory = self.root.join("etc/asterisk");
        fs::create_dir_all(&directory).unwrap();
        let text = [b"[directories]\nastmoddir => ", modules.as_os_str().as_bytes(), b"\n"].concat();
        fs::write(directory.join("asterisk.conf"), text).unwrap();
    }

    /// Does what `make install` of the next release of the host does: replaces its own modules.
    pub fn upgrade(&self, modules: &[&str]) {
        for module in modules {
            let path = self.modules().join(module);
            let _ = fs::remove_file(&path);
            module_from(MODULE_OF_11, &format!("{module} of the next release"), &path);
        }
    }

    /// Finds the host of this place.
    pub fn find(&self) -> Result<Host, Refusal> {
        Host::find(&Which::Below(self.root.clone()))
    }

    /// Finds the host of this place, which must succeed.
    pub fn host(&self) -> Host {
        self.find().unwrap()
    }

    /// Installs, and expects a refusal that contains these words and changes nothing.
    pub fn refuses(&self, words: &[&str]) -> Refusal {
        let files = self.files();
        let before = self.state();
        let refusal = self.find().and_then(|host| install(&files, &host)).unwrap_err();
        let sentence = refusal.to_string();
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
        assert_eq!(self.state(), before, "{sentence}");
        refusal
    }

    /// Uninstalls our modules.
    pub fn uninstall(&self) -> Result<Done, Refusal> {
        Location::of_ours(&Which::Below(self.root.clone())).and_then(|location| uninstall(&location))
    }

    /// The directory that [`Place::files`] reads.
    pub fn build_files(&self) -> PathBuf {
        let directory = self.root.join("ours");
        fs::create_dir_all(&directory).unwrap();
        for module in MODULES.into_iter().chain([CODEC]) {
            module_from(OURS, module, &directory.join(module));
        }
        Files::seal(&directory, "11", None).unwrap();
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

    /// Everything visible in the modules directory: names, contents, owners, modes, times.
    pub fn state(&self) -> Vec<String> {
        let list = Command::new("sh")
            .arg("-c")
            .arg("find . -printf '%p %y %U:%G %m %T@ %l\\n' | grep -v '^\\. ' | sort; find . -type f -exec sha256sum {} + | sort")
            .current_dir(self.modules())
            .output()
            .unwrap();
        // Some paths here are not UTF-8, and the output of `find` for them depends on the locale.
        list.stdout.split(|byte| *byte == b'\n').map(|line| line.escape_ascii().to_string()).collect()
    }

    /// Starts the program. It loads a module and reports this number of channels; with `None`, it does not answer.
    pub fn run(&self, channels: Option<u32>) -> Running {
        self.says(channels);
        Running::start(Command::new(self.program()).arg("-C").arg(&self.root))
    }

    /// Sets the number of channels that its console reports from now on.
    pub fn says(&self, channels: Option<u32>) {
        fs::write(self.root.join("channels"), channels.map_or(String::new(), |count| count.to_string())).unwrap();
    }

    /// Copies the program `install` beside the files of [`Self::files`] and returns its path.
    pub fn install(&self) -> PathBuf {
        let program = self.build_files().join("install");
        copy_program(Path::new(env!("CARGO_BIN_EXE_install")), &program);
        // Make it readable for others even if our umask does not.
        assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(&self.root).status().unwrap().success());
        program
    }

    /// Runs `install` for this place through another program, in a namespace without other processes.
    pub fn alone(&self, by_way_of: &str, words: &str) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("exec {by_way_of} \"$0\" {words} --prefix \"$PWD\"");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", &script]).current_dir(&self.root);
        command
    }

    /// Runs `install` for this place after `commands`, in its own mount namespace.
    pub fn after(&self, commands: &str) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("set -e; {commands}\n\"$0\" --prefix .");
        command.args(["--mount", "sh", "-c", &script]).current_dir(&self.root);
        command
    }

    /// Makes a user the owner of everything.
    pub fn give_to(&self, user: u32) {
        assert!(
            Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(&self.root).status().unwrap().success()
        );
    }
}

/// Installs as the library does, but checks only processes started by the tests: the machine's may belong to anybody.
pub fn install(files: &Files, host: &Host) -> Result<Done, Refusal> {
    installer::install(files, host, &started_here())
}

/// Uninstalls, checking the same processes as [`install`].
pub fn uninstall(location: &Location) -> Result<Done, Refusal> {
    installer::uninstall(location, &started_here())
}

/// Checks without installing, with the same processes as [`install`].
pub fn check(host: &Host) -> Result<(), Refusal> {
    installer::check(host, &started_here())
}

fn started_here() -> Processes {
    let ours = std::process::id().to_string();
    let is_child = |process: &u32| {
        let line = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The state and the parent follow the name, which may contain anything.
        line.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&ours))
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Processes::These(all.filter(is_child).collect())
}

/// The directory for all places: cargo's, unless other users cannot enter it, we cannot write to it, or its path is
/// too long for a socket.
fn home() -> PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    let choose = || {
        let cargos = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let is_open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o1 == 0o1);
        let probe = cargos.join(format!("{}-probe", std::process::id()));
        let is_ours = || fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)).is_ok();
        if cargos.as_os_str().len() < 70 && cargos.ancestors().all(is_open) && is_ours() {
            return cargos.to_path_buf();
        }
        std::env::temp_dir()
    };
    HOME.get_or_init(choose).clone()
}

/// Copies a program in a separate process. If we wrote it ourselves, a process that another thread starts at that
/// moment would inherit the open file, and a program that is open for writing cannot be run.
pub fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A running program, ended on drop.
pub struct Running(Child);

impl Running {
    /// Starts the program and waits until it reports that it is ready.
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

/// The source of a program that acts as an Asterisk: `-C <root>` loads a module from `MODULES` or from the root, then
/// answers on its socket with the content of a file in the root.
const RUNNING: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
static int run(const char *root)
{
    char path[4096], *modules = getenv("MODULES");
    struct sockaddr_un address = { AF_UNIX };
    int console = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(path, sizeof path, "%s/%s/chan_sip.so", modules ? "" : root, modules ? modules : "lib/asterisk/modules");
    if (!dlopen(path, RTLD_LAZY)) return 1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/asterisk.ctl", root);
    unlink(address.sun_path);
    if (bind(console, (struct sockaddr *) &address, sizeof address) || listen(console, 9)) return 1;
    alarm(60);
    putchar('.');
    fflush(stdout);
    snprintf(path, sizeof path, "%s/channels", root);
    for (;;) {
        char question[100] = "", count[16] = "";
        int asking = accept(console, NULL, NULL);
        read(asking, question, sizeof question - 1);
        FILE *file = fopen(path, "r");
        dprintf(asking, "host/%d/" VERSION "\n", getpid());
        if (!strcmp(question, "cli quit after core show channels count") && file && fgets(count, sizeof count, file))
            dprintf(asking, "%s active channels\n%s active calls\n7 calls processed\n", count, count);
        if (file) fclose(file);
        close(asking);
    }
}
"#;

/// Compiles each source once. Text appended after the last section makes each file unique.
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
