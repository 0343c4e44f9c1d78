//! What Cassandra's log said last, for the one who wonders why a node has ended.
//!
//! It relies on the pattern of `logback.xml`: each event begins with its level, and what belongs to it (a stack) does not. Pure.

/// The longest words that are told.
const WORDS_MAX: usize = 400;
/// The levels that begin an event.
const LEVELS: [&str; 5] = ["TRACE", "DEBUG", "INFO ", "WARN ", "ERROR"];
/// The last thing that a node says which was stopped in order: its memory is on disk, its clients and peers know.
const DRAINED: &str = "Cassandra shutdown complete";

/// What it says when clients may come.
const SERVING: &str = "Starting listening for CQL clients";

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    error: Option<String>,
    /// The exception behind it, of those that caused each other the last.
    cause: Option<String>,
    is_in_error: bool,
    has_served: bool,
    is_drained: bool,
}

impl LogTail {
    /// Takes the next line.
    pub fn see(&mut self, line: &str) {
        let Some(level) = LEVELS.into_iter().find(|it| line.starts_with(it)) else {
            if self.is_in_error && !line.starts_with(['\t', ' ']) && !line.is_empty() {
                self.cause = Some(line.trim_start_matches("Caused by: ").to_owned());
            }
            return;
        };
        self.is_in_error = level == "ERROR";
        let message = line.split_once(" - ").map_or(line, |it| it.1);
        if self.is_in_error {
            (self.error, self.cause) = (Some(message.to_owned()), None);
        }
        self.has_served |= message.starts_with(SERVING);
        // One that does not come up ends in the same order, and its error is what matters.
        self.is_drained |= self.has_served && message.starts_with(DRAINED);
    }

    /// What to tell, if there is anything.
    pub fn words(&self) -> Option<String> {
        if self.is_drained {
            return Some("it was drained before".to_owned());
        }
        let error = self.error.as_ref()?;
        let words = match &self.cause {
            Some(cause) => format!("{}: {cause}", error.trim_end_matches([':', '.'])),
            None => error.clone(),
        };
        Some(words.chars().take(WORDS_MAX).collect())
    }
}

/// What the JVM said when it could not even begin: it says that to its standard error.
pub fn jvm_error(stderr: &str) -> Option<String> {
    let is_error = |it: &&str| it.starts_with("Error") || it.starts_with("Unrecognized");
    let line = stderr.lines().rev().find(is_error)?;
    Some(line.chars().take(WORDS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(log: &str) -> Option<String> {
        let mut tail = LogTail::default();
        log.lines().for_each(|it| tail.see(it));
        tail.words()
    }

    #[test]
    fn the_last_error_is_told_with_what_caused_it() {
        let log = "INFO  [main] 2026-11-30 15:26:40,117 A.java:1 - hello\n\
                   ERROR [main] 2026-11-30 15:26:41,117 A.java:1 - first\n\
                   INFO  [main] 2026-11-30 15:26:42,117 A.java:1 - between\n\
                   ERROR [main] 2026-11-30 15:26:49,117 CassandraDaemon.java:900 - Exception encountered during startup\n\
                   java.lang.RuntimeException: outer\n\
                   \tat org.apache.cassandra.X.y(X.java:1)\n\
                   Caused by: java.io.IOException: No space left on device\n\
                   \t... 3 common frames omitted\n";
        let told =
            "Exception encountered during startup: java.io.IOException: No space left on device";
        assert_eq!(words(log).as_deref(), Some(told));
        assert_eq!(words("INFO  [main] x A.java:1 - all is well\n"), None);
        assert_eq!(
            words(&format!("ERROR [x] x A:1 - {}", "é".repeat(900))).unwrap().chars().count(),
            WORDS_MAX
        );
    }

    #[test]
    fn a_node_that_was_drained_says_so() {
        let log = "ERROR [x] x A.java:1 - an old error\n\
                   INFO  [main] x PipelineConfigurator.java:1 - Starting listening for CQL clients on /127.0.0.1:9042\n\
                   INFO  [StorageServiceShutdownHook] x StorageService.java:1 - Cassandra shutdown complete\n";
        assert_eq!(words(log).as_deref(), Some("it was drained before"));
        let log = "ERROR [main] x CassandraDaemon.java:887 - Fatal configuration error\n\
                   org.apache.cassandra.exceptions.ConfigurationException: Token allocation failed\n\
                   INFO  [StorageServiceShutdownHook] x StorageService.java:1 - Cassandra shutdown complete\n";
        let told = "Fatal configuration error: org.apache.cassandra.exceptions.ConfigurationException: Token allocation failed";
        assert_eq!(words(log).as_deref(), Some(told), "it never served");
    }

    #[test]
    fn what_the_jvm_refuses_is_told() {
        let stderr = "  INFO something of ours\nUnrecognized VM option 'x'\nError: Could not create the Java Virtual Machine.\n\n";
        assert_eq!(jvm_error(stderr).unwrap(), "Error: Could not create the Java Virtual Machine.");
        assert_eq!(jvm_error("  INFO only ours\n"), None);
    }
}
