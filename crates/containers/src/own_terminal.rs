//! The terminal of this very process: how large it is, and letters as they are typed.
//!
//! It relies on standard input being that terminal. Whatever happens, it is given back as it was found, unless the process is killed so
//! that nothing of it runs any more.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::termios::{cfmakeraw, tcgetattr, tcsetattr, SetArg, Termios};

use crate::WindowSize;

/// The terminal as it was before, to be given back when this is dropped.
pub struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// From now on each letter is read as it is typed, and nothing that is typed is shown or means anything by itself. `None` when
    /// standard input is no terminal.
    ///
    /// # Errors
    /// When the terminal does not let it.
    pub fn enter() -> io::Result<Option<RawTerminal>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(input.as_fd())?;
        let guard = RawTerminal { before };
        let mut raw = guard.before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(input.as_fd(), SetArg::TCSANOW, &raw)?;
        Ok(Some(guard))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

/// The size of the terminal that standard input or output is; `None` when neither is one.
#[allow(
    unsafe_code,
    reason = "neither nix nor rustix, as they are built here, tells the size of a terminal"
)]
pub fn window_size() -> Option<WindowSize> {
    [io::stdin().as_fd().as_raw_fd(), io::stdout().as_fd().as_raw_fd()].into_iter().find_map(|fd| {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the standard streams stay open as long as the process, and the request writes one winsize that lives as long as the call.
        let result = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) };
        (result == 0).then_some(WindowSize { rows: size.ws_row, columns: size.ws_col })
    })
}
