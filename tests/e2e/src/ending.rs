//! The end that the user of a program asks for, with Ctrl-C or a signal.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Result, ensure};

/// A flag that is set once the end is asked for. Who waits looks at it from time to time.
pub type Asked = &'static AtomicBool;

/// From now on Ctrl-C and its like set the flag that is returned instead of ending the program, which then ends what it has started:
/// a signal to the program alone reaches none of that, and Kamailio is in a process group of its own. A second signal of the kind ends the
/// program.
pub fn on_signals() -> Asked {
    static ASKED: AtomicBool = AtomicBool::new(false);
    extern "C" fn ask(_: libc::c_int) {
        ASKED.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic; the structure is initialised.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            libc::sigaction(signal, std::ptr::null(), &raw mut action);
            // As `nohup` wants it.
            if action.sa_sigaction != libc::SIG_IGN {
                action.sa_sigaction = ask as extern "C" fn(libc::c_int) as libc::sighandler_t;
                // The second one ends the program at once.
                action.sa_flags = libc::SA_RESETHAND | libc::SA_RESTART;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
    }
    &ASKED
}

/// Fails once the end is asked for.
pub fn unless(asked: &AtomicBool) -> Result {
    ensure(!asked.load(Ordering::Relaxed), || ENDED.to_owned())
}

/// The failure of what was not finished.
pub const ENDED: &str = "A signal ended this before it was finished.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_sets_the_flag_and_does_not_end_the_program() {
        let asked = on_signals();
        assert!(unless(asked).is_ok());
        // SAFETY: `on_signals` has set a handler.
        assert_eq!(unsafe { libc::raise(libc::SIGINT) }, 0);
        assert_eq!(unless(asked).unwrap_err().to_string(), ENDED);
    }
}
