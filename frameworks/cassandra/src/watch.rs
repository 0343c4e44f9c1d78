//! Looks at the ring beside the scheduler's keeper, while somebody wants to know.
//!
//! Hooks answer at once, so they ask here, and are told by [`News`] that there is an answer. A look that began before it was first asked for
//! is none: what it saw may be from before a node was restarted. Nobody is looked at when nobody asks.

use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_sdk::net::News;

use crate::topology::{is_calm, Census, NotCalm};

/// For how long a look is believed.
const FRESH: Duration = Duration::from_secs(15);
/// For how long after the last time that somebody asked it is looked again.
const WANTED: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(1_500);

/// What is asked of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// For what; another question is another look.
    pub key: String,
    /// Whom to ask, one after the other until one answers.
    pub seeds: Vec<IpAddr>,
    /// Their port of CQL.
    pub port: u16,
    /// The nodes that are about to change, and are not counted.
    pub but: Vec<IpAddr>,
}

/// How a ring is looked at.
pub type Look = fn(&Question) -> Result<Census, NotCalm>;

/// Looks at a real ring.
pub fn look(question: &Question) -> Result<Census, NotCalm> {
    is_calm(&question.seeds, question.port, &question.but)
}

#[derive(Debug, Default)]
struct State {
    question: Option<(Question, Instant)>,
    answer: Option<(Question, Instant, Result<Census, NotCalm>)>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    asked: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that looks at the ring.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    /// Begins to wait for questions.
    pub fn start(news: News, look: Look) -> Watch {
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        std::thread::spawn(move || watch(&seen, &news, look));
        Watch { shared }
    }

    /// What a look says that began after this was first asked, and not long ago; `None` while there is none.
    pub fn ask(&self, question: Question) -> Option<Result<Census, NotCalm>> {
        let mut state = self.shared.lock();
        let fresh = state.answer.as_ref().filter(|it| it.0 == question && it.1.elapsed() < FRESH);
        let answer = fresh.map(|it| it.2.clone());
        state.question = Some((question, Instant::now()));
        self.shared.asked.notify_one();
        answer
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.asked.notify_one();
    }
}

fn watch(shared: &Shared, news: &News, look: Look) {
    loop {
        let mut state = shared.lock();
        let question = loop {
            if state.is_over {
                return;
            }
            let wanted = state.question.as_ref().filter(|it| it.1.elapsed() < WANTED);
            match wanted.map(|it| it.0.clone()) {
                Some(question) => break question,
                None => {
                    state = shared.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(state);
        let began = Instant::now();
        let seen = look(&question);
        shared.lock().answer = Some((question.clone(), began, seen));
        news.tell();
        // Another question is answered at once.
        let state = shared.lock();
        let is_same =
            |it: &mut State| !it.is_over && it.question.as_ref().is_some_and(|it| it.0 == question);
        drop(shared.asked.wait_timeout_while(state, PAUSE, is_same));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(key: &str) -> Question {
        Question { key: key.to_owned(), seeds: Vec::new(), port: 1, but: Vec::new() }
    }

    #[test]
    fn an_answer_is_to_its_own_question() {
        let look: Look = |it| match it.key.as_str() {
            "calm" => Ok(Census::default()),
            _ => Err(NotCalm::Nobody(String::new())),
        };
        let watch = Watch::start(News::default(), look);
        let answered = |key: &str| loop {
            if let Some(answer) = watch.ask(question(key)) {
                break answer;
            }
            std::thread::yield_now();
        };
        assert!(answered("calm").is_ok());
        assert_eq!(watch.ask(question("other")), None, "what was seen for another step is old");
        assert!(answered("other").is_err());
        assert!(answered("calm").is_ok());
    }
}
