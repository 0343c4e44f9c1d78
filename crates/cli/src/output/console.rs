//! The terminal, or whatever stands in for it: where data go, where remarks go, who answers questions.
//!
//! Relies on standard output being data and nothing else. Never colours what is not read on a terminal, and never asks where nobody
//! can answer.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
pub struct Console {
    data: Mutex<Box<dyn Write + Send>>,
    remarks: Mutex<Box<dyn Write + Send>>,
    answers: Option<Mutex<Box<dyn BufRead + Send>>>,
    /// Whether data are read on a terminal.
    pub is_terminal: bool,
    /// Whether there are colours.
    pub colours: bool,
}

impl Console {
    /// That of this process.
    pub fn of_process() -> Console {
        let is_terminal = io::stdout().is_terminal();
        let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
        let answers: Box<dyn BufRead + Send> = Box::new(io::BufReader::new(io::stdin()));
        Console {
            data: Mutex::new(Box::new(io::stdout())),
            remarks: Mutex::new(Box::new(io::stderr())),
            answers: asks.then_some(Mutex::new(answers)),
            is_terminal,
            colours: is_terminal && !wants_no_colours(),
        }
    }

    /// One that writes elsewhere. With `answers` it counts as a terminal.
    #[cfg(test)]
    fn new(
        data: Box<dyn Write + Send>,
        remarks: Box<dyn Write + Send>,
        answers: Option<Box<dyn BufRead + Send>>,
    ) -> Console {
        let is_terminal = answers.is_some();
        Console {
            data: Mutex::new(data),
            remarks: Mutex::new(remarks),
            answers: answers.map(Mutex::new),
            is_terminal,
            colours: false,
        }
    }

    /// Writes data.
    ///
    /// # Errors
    /// When nobody reads them, or they cannot be written.
    pub fn put(&self, text: &str) -> io::Result<()> {
        self.put_bytes(text.as_bytes())
    }

    /// Writes data as they are.
    ///
    /// # Errors
    /// When nobody reads them, or they cannot be written.
    pub fn put_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut data = locked(&self.data);
        data.write_all(bytes)?;
        data.flush()
    }

    /// Writes a remark for the person who watches.
    pub fn note(&self, text: &str) {
        self.note_bytes(format!("{text}\n").as_bytes());
    }

    /// Writes remarks as they are. That nobody can read them is no reason to stop.
    pub fn note_bytes(&self, bytes: &[u8]) {
        let mut remarks = locked(&self.remarks);
        let _ = remarks.write_all(bytes).and_then(|()| remarks.flush());
    }

    /// Asks, and waits for a line; `None` when nobody can answer.
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut answers = locked(self.answers.as_ref()?);
        self.note_bytes(question.as_bytes());
        let mut line = String::new();
        answers.read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }
}

/// Whether the environment asks for plain text: `NO_COLOR` is not empty, or the terminal knows no colours.
pub fn wants_no_colours() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty())
        || std::env::var_os("TERM").is_some_and(|it| it == "dumb")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;

    /// What was written, kept.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A console, its data and its remarks; `answers` is what a person would type.
    pub(crate) fn kept(answers: Option<&'static str>) -> (Console, Kept, Kept) {
        let (data, remarks) = (Kept::default(), Kept::default());
        let answers = answers.map(|it| Box::new(it.as_bytes()) as Box<dyn BufRead + Send>);
        (Console::new(Box::new(data.clone()), Box::new(remarks.clone()), answers), data, remarks)
    }

    #[test]
    fn data_and_remarks_stay_apart() {
        let (console, data, remarks) = kept(Some("y\nsecond\n"));
        console.put("rows\n").unwrap();
        console.note("a remark");
        assert_eq!(console.ask("sure? ").as_deref(), Some("y"));
        assert_eq!(console.ask("sure? ").as_deref(), Some("second"));
        assert_eq!(
            (data.text(), remarks.text()),
            ("rows\n".to_owned(), "a remark\nsure? sure? ".to_owned())
        );
    }

    #[test]
    fn nobody_is_asked_where_nobody_is() {
        let (console, _, remarks) = kept(None);
        assert_eq!((console.ask("sure? "), remarks.text()), (None, String::new()));
        let (console, ..) = kept(Some(""));
        assert_eq!(
            console.ask("sure? ").as_deref(),
            Some(""),
            "an end of input is an empty answer"
        );
    }
}
