//! A small Asterisk 11 core that loads the built modules and drives them through the ABI.
//!
//! The core is written in C (`core/`) and is a shared library that exports what the host exports. The test programs
//! link it, so modules find its symbols as they would find the host's. The tests are host and peer at once: they call
//! what chan_sip and the HTTP server call, and use the other end of the socket.
//!
//! The modules come from `MODULES_DIR`, or cargo builds them. To run under valgrind:
//!
//! ```sh
//! export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind -q --error-exitcode=9 --leak-check=full \
//!     --show-leak-kinds=definite --errors-for-leak-kinds=definite --keep-debuginfo=yes \
//!     --suppressions=$PWD/tests/host/valgrind.supp"
//! cargo test -p host-tests -- --test-threads 1
//! ```
//!
//! With `HOST_LOG=1`, the log of the modules is printed as it happens.

pub mod modules;
#[doc(hidden)]
pub mod raw;

pub use modules::{Loading, directory as module_directory};

use std::{
    ffi::{CStr, CString, c_char, c_int},
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

/// The version of Asterisk that the core acts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 11.25.3, with everything added since 11.0.0.
    Newest,
    /// 11.0.0, with the old DTLS layout and without later additions. Not in one process with [`Kind::Newest`].
    Oldest,
    /// A version that the modules do not support.
    Foreign,
}

/// The running core. There is one at a time in a process; other tests of the same program wait in [`Host::start`].
pub struct Host {
    directory: PathBuf,
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl Host {
    /// Starts with an empty configuration and no modules.
    pub fn start(kind: Kind) -> Self {
        static RUNNING: Mutex<()> = Mutex::new(());
        let guard = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let version = match kind {
            Kind::Newest => c"11.25.3",
            Kind::Oldest => c"11.0.0",
            Kind::Foreign => c"16.28.0~dfsg-0+deb11u4",
        };
        if kind == Kind::Newest {
            bring_in_what_newer_cores_have();
        }
        let directory = std::env::temp_dir().join(format!("host-tests-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a writable temporary directory");
        let path = CString::new(directory.to_str().expect("plain text")).expect("no NUL");
        // SAFETY: the strings live during the calls; the core copies them.
        unsafe {
            raw::host_set_version(version.as_ptr());
            raw::host_set_before_11_11((kind == Kind::Oldest).into());
            raw::host_set_config_directory(path.as_ptr());
            raw::host_set_system_name(c"".as_ptr());
        }
        let host = Self { directory, _one_at_a_time: guard };
        host.log();
        host
    }

    /// The directory of configuration files, in which a test may create other files too.
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// Gives the host a name, `systemname` of `asterisk.conf`.
    pub fn name(&self, name: &CStr) {
        // SAFETY: the string lives during the call; the core copies it.
        unsafe { raw::host_set_system_name(name.as_ptr()) };
    }

    /// Writes a configuration file.
    pub fn configure(&self, file: &str, text: &str) {
        fs::write(self.directory.join(file), text).expect("a writable temporary directory");
    }

    /// Loads a module as the host's loader does.
    pub fn load(&self, module: &str) -> Loading {
        let path = CString::new(modules::path(module).to_str().expect("plain text")).expect("no NUL");
        // SAFETY: the string lives during the call.
        Loading::from_core(unsafe { raw::host_module_load(path.as_ptr()) })
    }

    /// Loads modules, which must succeed.
    pub fn load_all(&self, modules: &[&str]) {
        for module in modules {
            assert_eq!(self.load(module), Loading::Loaded, "{module}: {}", self.log());
        }
    }

    /// Unloads a module; `false` if it is in use or refuses.
    pub fn unload(&self, module: &str) -> bool {
        let name = CString::new(module).expect("no NUL");
        // SAFETY: as above.
        unsafe { raw::host_module_unload(name.as_ptr()) == 0 }
    }

    /// Unloads a module even if it is in use, as `module unload -f` does; `false` if it refuses.
    pub fn unload_forced(&self, module: &str) -> bool {
        let name = CString::new(module).expect("no NUL");
        // SAFETY: as above.
        unsafe { raw::host_module_unload_forced(name.as_ptr()) == 0 }
    }

    /// Whether any part of the module's file is still in memory.
    pub fn is_mapped(&self, module: &str) -> bool {
        let path = CString::new(modules::path(module).to_str().expect("plain text")).expect("no NUL");
        // SAFETY: as above.
        unsafe { raw::host_is_mapped(path.as_ptr()) != 0 }
    }

    /// Makes a module reload its configuration.
    pub fn reload(&self, module: &str) -> c_int {
        let name = CString::new(module).expect("no NUL");
        // SAFETY: as above.
        unsafe { raw::host_module_reload(name.as_ptr()) }
    }

    /// The use count of a module.
    pub fn use_count(&self, module: &str) -> c_int {
        let name = CString::new(module).expect("no NUL");
        // SAFETY: as above.
        unsafe { raw::host_module_use_count(name.as_ptr()) }
    }

    /// The declaration of a module.
    pub fn info(&self, module: &str) -> Option<&asterisk_sys::ast_module_info> {
        let name = CString::new(module).expect("no NUL");
        // SAFETY: as above; the module stays loaded as long as `self` is not used to unload it.
        unsafe { raw::host_module_info(name.as_ptr()).as_ref() }
    }

    /// The lines logged since the last call.
    pub fn log(&self) -> String {
        taken(raw::host_log_take)
    }

    /// The manager events since the last call.
    pub fn manager_events(&self) -> String {
        taken(raw::host_manager_take)
    }

    /// Runs a console command. Returns its handler's result, or -1 if there is no such command, and its output.
    pub fn command(&self, line: &str) -> (c_int, String) {
        let line = CString::new(line).expect("no NUL");
        let mut output = vec![0_u8; 64 * 1024];
        // SAFETY: a string, and a buffer with its length.
        let answer = unsafe { raw::host_cli(line.as_ptr(), output.as_mut_ptr().cast(), output.len() as _) };
        (answer, text(&output))
    }

    /// Runs a manager action with one header. Returns its function's result, or -1 if there is no such action, and its response.
    pub fn action(&self, action: &str, (name, value): (&str, &str)) -> (c_int, String) {
        let [action, name, value] = [action, name, value].map(|text| CString::new(text).expect("no NUL"));
        let mut response = vec![0_u8; 64 * 1024];
        // SAFETY: strings, and a buffer with its length.
        let answer = unsafe {
            let (buffer, size) = (response.as_mut_ptr().cast(), response.len() as _);
            raw::host_action(action.as_ptr(), name.as_ptr(), value.as_ptr(), buffer, size)
        };
        (answer, text(&response))
    }

    /// The number of reference-counted objects that were not freed.
    pub fn objects_alive(&self) -> i64 {
        // SAFETY: takes no arguments.
        unsafe { raw::host_objects_alive() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for module in modules::all_and_codec() {
            let name = CString::new(module).expect("no NUL");
            // A session that is closing uses its module for a moment longer; after a failed test one may remain.
            for _ in 0..200 {
                // SAFETY: as in `unload`.
                if unsafe {
                    raw::host_module_info(name.as_ptr()).is_null() || raw::host_module_unload(name.as_ptr()) == 0
                } {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        // It may not exist any more, and nothing depends on it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn bring_in_what_newer_cores_have() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let path = CString::new(env!("HOST_CORE_NEWER")).expect("no NUL");
        // SAFETY: our own library, which has no constructors.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        assert!(!library.is_null(), "{path:?} does not open");
    });
}

fn taken(take: unsafe extern "C" fn(*mut c_char, raw::Size) -> raw::Size) -> String {
    let mut buffer = vec![0_u8; 1 << 20];
    // SAFETY: a buffer with its length.
    unsafe { take(buffer.as_mut_ptr().cast(), buffer.len() as _) };
    text(&buffer)
}

fn text(buffer: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(buffer).expect("the core ends its texts");
    text.to_string_lossy().into_owned()
}
