//! What Hadoop's log said last, for the one who wonders why a member has ended.
//!
//! It relies on the pattern that `prepare` writes: each event is `time LEVEL class: message`, and what belongs to it (a stack) is not. Pure.

/// The longest words that are told.
const WORDS_MAX: usize = 400;
/// The levels that are told.
const LEVELS: [&str; 2] = ["ERROR", "FATAL"];
/// Whose errors end nobody: the pages at which we look.
const PAGES: &str = "JMXJsonServlet:";
/// The ends of names of what is thrown.
const THROWN: [&str; 2] = ["Exception", "Error"];

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    error: Option<String>,
    /// The exception behind it, of those that caused each other the last.
    cause: Option<String>,
    is_in_error: bool,
}

impl LogTail {
    /// Takes the next line.
    pub fn see(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let (time, level, message) = (words.next(), words.next(), words.next());
        let is_event = time.is_some_and(|it| it.len() == 12 && it.as_bytes()[2] == b':');
        if is_event {
            // What its own pages cannot tell yet is no reason to end.
            let is_page = message.is_some_and(|it| it.starts_with(PAGES));
            self.is_in_error = !is_page && level.is_some_and(|it| LEVELS.contains(&it));
            if self.is_in_error {
                (self.error, self.cause) = (message.map(str::to_owned), None);
            }
            return;
        }
        let thrown = line.trim_start_matches("Caused by: ");
        let name = thrown.split([':', ' ']).next().unwrap_or_default();
        if self.is_in_error && THROWN.iter().any(|it| name.ends_with(it)) && !line.starts_with('\t')
        {
            self.cause = Some(thrown.to_owned());
        }
    }

    /// What to tell, if there is anything.
    pub fn words(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let words = match &self.cause {
            Some(cause) => format!("{}: {cause}", error.trim_end_matches([':', '.'])),
            None => error.clone(),
        };
        Some(words.chars().take(WORDS_MAX).collect())
    }

    /// What the log of a program that has ended said last.
    pub fn of(log: &str) -> Option<String> {
        let mut tail = LogTail::default();
        log.lines().for_each(|it| tail.see(it));
        tail.words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_told_with_what_caused_it() {
        let log = "19:05:02,896 INFO NameNode: hello\n\
                   19:05:03,896 ERROR NameNode: first\n\
                   19:05:04,896 ERROR NameNode: Failed to start namenode.\n\
                   java.io.IOException: outer\n\
                   \tat org.apache.hadoop.X.y(X.java:1)\n\
                   Caused by: org.apache.hadoop.hdfs.server.common.InconsistentFSStateException: Directory /x is locked\n\
                   \t... 3 more\n\
                   19:05:05,896 INFO ExitUtil: Exiting with status 1: x\n";
        let told = "NameNode: Failed to start namenode: org.apache.hadoop.hdfs.server.common.InconsistentFSStateException: Directory /x is locked";
        assert_eq!(LogTail::of(log).as_deref(), Some(told));
        assert_eq!(LogTail::of("19:05:02,896 INFO NameNode: well\n"), None);
        let page = "19:05:02,896 ERROR JMXJsonServlet: getting attribute X threw\njava.lang.NullPointerException: y\n";
        assert_eq!(LogTail::of(page), None);
        let long = format!("19:05:02,896 FATAL X: {}", "é".repeat(900));
        assert_eq!(LogTail::of(&long).unwrap().chars().count(), WORDS_MAX);
    }
}
