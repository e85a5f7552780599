//! The terminal of a program that draws: its size, its keys, its signals, and everything back as it was at the end.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Alternate screen, cursor hidden, no wrapping at the right edge, an empty screen.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    End,
    /// The window has another size.
    Resized,
    /// Ctrl-Z.
    Suspend,
}

/// Standard output as a screen, standard input as a keyboard.
#[derive(Debug)]
pub struct Terminal {
    before: Option<Termios>,
    signals: SignalFd,
    mask: SigSet,
}

impl Terminal {
    /// To be called before any thread is started: they inherit the blocked signals.
    pub fn enter() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGWINCH,
            Signal::SIGTSTP,
        ] {
            set.add(signal);
        }
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut mask))?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let mut terminal = Self {
            before: None,
            signals,
            mask,
        };
        terminal.begin()?;
        Ok(terminal)
    }

    fn begin(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        if stdin.is_terminal()
            && let Ok(before) = tcgetattr(&stdin)
        {
            let mut raw = before.clone();
            // Keys come one by one and are not shown; Ctrl-C and Ctrl-Z stay signals. Reading never waits.
            raw.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO);
            raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
            raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            if tcsetattr(&stdin, SetArg::TCSANOW, &raw).is_ok() {
                self.before = Some(before);
            }
        }
        self.write(ENTER)
    }

    fn end(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = self.write(LEAVE);
        if let Some(before) = self.before.take() {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
        }
    }

    /// Stops this process as Ctrl-Z does, and takes the screen again when it goes on.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.end();
        // Not SIGTSTP, which is blocked; a process without a shell to wake it is not stopped by either.
        kill(Pid::this(), Signal::SIGSTOP)?;
        self.begin()
    }

    pub fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Columns and rows; 80x24 when nobody knows.
    pub fn size(&self) -> (usize, usize) {
        size().unwrap_or((80, 24))
    }

    pub fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// The next signal that waits.
    pub fn asked(&self) -> Option<Asked> {
        let info = self.signals.read_signal().ok().flatten()?;
        Some(match Signal::try_from(info.ssi_signo as i32).ok()? {
            Signal::SIGWINCH => Asked::Resized,
            Signal::SIGTSTP => Asked::Suspend,
            _ => Asked::End,
        })
    }

    /// The keyboard, when there is one.
    pub fn has_keys(&self) -> bool {
        self.before.is_some()
    }

    /// The next key that waits; an error when the terminal is gone.
    pub fn key(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        match nix::unistd::read(io::stdin(), &mut byte) {
            Ok(0) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Ok(_) => Ok(Some(byte[0])),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
    }
}

/// Columns and rows of the terminal on standard output.
pub fn size() -> Option<(usize, usize)> {
    // SAFETY: a winsize is plain numbers, for which zero is a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ fills one winsize, which lives across the call.
    let done = unsafe { libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (done == 0 && size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}
