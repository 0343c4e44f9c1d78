//! The options of the command line.
//!
//! It relies on nothing but its arguments. It never guesses: an unknown option is an error that
//! names it.

use crate::shape::Shape;

/// What is printed for `--help`.
pub const HELP: &str = "\
Storms over the simulated cluster: real cores, simulated clock, network, disks and random faults.

    holdfast-sim [--seeds N] [--start S] [--jobs J] [SHAPE]     storms; exit 1 when a rule is broken
    holdfast-sim --replay SEED [--trace] [--step] [SHAPE]       one storm, with its trace
    holdfast-sim --planted [--bug NAME] [--jobs J] [SHAPE]      hunt the planted bugs (built with --features planted)

    --seeds N        how many storms (100)
    --start S        the first seed (0)
    --jobs J         how many at once (2)
    --replay SEED    this seed only, with its plot
    --trace          every message as well
    --step           wait for Enter after each line of the plot (`q` ends)
    --planted        storms with a bug put in on purpose, one after the other
    --bug NAME       that bug only; also with --seeds and --replay

  SHAPE
    --masters N      master processes (3)
    --agents N       machines (4)
    --disks N        disks of each beside its root disk (2)
    --frameworks N   journal-like services (2)
    --members N      members of each (3)
    --rogues N       byzantine peers (1)
    --hangs          disks hang, too
    --loses-journal  the masters' journal is erased, or an older copy of it is put back
    --pods           a service of pods runs, too, and somebody asks it for plans
    --storm-ms N     how long faults strike (60000)
    --calm-ms N      how long the cluster then has to heal (60000)";

/// The options of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The number of storms.
    pub seeds: u64,
    /// The first seed.
    pub start: u64,
    /// The number of storms at once.
    pub jobs: u64,
    /// The only seed to run.
    pub replay: Option<u64>,
    /// Whether the trace has every message.
    pub trace: bool,
    /// Whether to wait after each line.
    pub step: bool,
    /// Whether to hunt planted bugs.
    pub planted: bool,
    /// The only bug to plant.
    pub bug: Option<&'static str>,
    /// The shape of each storm.
    pub shape: Shape,
}

/// Why the command line is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Help was asked for.
    #[error("help was asked for")]
    Help,
    /// There is no such option.
    #[error("`{0}` is no option; see below")]
    Unknown(String),
    /// A number is missing or wrong.
    #[error("`{word}` needs a whole number of at least {least}, not `{given}`")]
    Number {
        /// The option.
        word: String,
        /// The value that was given.
        given: String,
        /// The least value that is allowed.
        least: u64,
    },
    /// There is no such bug.
    #[error("there is no planted bug `{given}`; choose one of {known}")]
    Bug {
        /// The value that was given.
        given: String,
        /// The names of all bugs.
        known: String,
    },
}

impl Words {
    /// Parses the command line.
    ///
    /// # Errors
    /// [`WordsError`], naming the word.
    pub fn read(words: &[String]) -> Result<Words, WordsError> {
        let mut read = Words {
            seeds: 100,
            start: 0,
            jobs: 2,
            replay: None,
            trace: false,
            step: false,
            planted: false,
            bug: None,
            shape: Shape::default(),
        };
        let mut left = words.iter();
        while let Some(word) = left.next() {
            let mut number = |least: u64| {
                let given = left.next().cloned().unwrap_or_default();
                let read = given.parse::<u64>().ok().filter(|it| least <= *it);
                read.ok_or(WordsError::Number { word: word.clone(), given, least })
            };
            match word.as_str() {
                "--help" | "-h" => return Err(WordsError::Help),
                "--seeds" => read.seeds = number(1)?,
                "--start" => read.start = number(0)?,
                "--jobs" => read.jobs = number(1)?,
                "--replay" => read.replay = Some(number(0)?),
                "--trace" => read.trace = true,
                "--step" => read.step = true,
                "--planted" => read.planted = true,
                "--bug" => read.bug = Some(bug(left.next().map_or("", |it| it.as_str()))?),
                "--masters" => read.shape.masters = number(1)? as usize,
                "--agents" => read.shape.agents = number(1)? as usize,
                "--disks" => read.shape.disks = number(1)? as usize,
                "--frameworks" => read.shape.frameworks = number(1)? as usize,
                "--members" => read.shape.members = u32::try_from(number(1)?).unwrap_or(u32::MAX),
                "--rogues" => read.shape.byzantine_peers = number(0)? as usize,
                "--hangs" => read.shape.hangs = true,
                "--loses-journal" => read.shape.loses_journal = true,
                "--pods" => read.shape.pods = true,
                "--storm-ms" => read.shape.storm_ms = number(0)?,
                "--calm-ms" => read.shape.calm_ms = number(0)?,
                other => return Err(WordsError::Unknown(other.to_owned())),
            }
        }
        read.shape.planted = read.bug;
        Ok(read)
    }
}

fn bug(given: &str) -> Result<&'static str, WordsError> {
    let known = || crate::planted::PLANTED.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    crate::planted::by_name(given)
        .map(|it| it.name)
        .ok_or_else(|| WordsError::Bug { given: given.to_owned(), known: known() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Words, WordsError> {
        Words::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_read() {
        let words = read("--seeds 7 --start 3 --agents 5 --trace").unwrap();
        assert_eq!((words.seeds, words.start, words.shape.agents, words.trace), (7, 3, 5, true));
        assert_eq!(read("--replay 9").unwrap().replay, Some(9));
        assert_eq!(
            read("--planted --bug keeper-claims-again").unwrap().bug,
            Some("keeper-claims-again")
        );
    }

    #[test]
    fn wrong_words_are_named() {
        assert_eq!(read("--sedes 7"), Err(WordsError::Unknown("--sedes".to_owned())));
        assert!(read("--seeds many").unwrap_err().to_string().contains("at least 1, not `many`"));
        assert!(read("--seeds").unwrap_err().to_string().contains("not ``"));
        assert!(read("--agents 0").unwrap_err().to_string().contains("`--agents`"));
        assert!(read("--bug none").unwrap_err().to_string().contains("keeper-claims-again"));
        assert_eq!(read("--help"), Err(WordsError::Help));
    }
}
