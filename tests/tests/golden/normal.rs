//! What differs from run to run, written in a form that does not: ids, times, ports, addresses and paths become placeholders.
//!
//! Relies on the forms of these things. Placeholders of ids are numbered by first appearance in a file, so that it still shows which of
//! them are the same. Never replaces a thing that a scene decides.

use std::collections::HashMap;

/// The length of a uuid as text.
const UUID_BYTES: usize = 36;
/// The length of sixteen bytes in base64.
const BASE64_BYTES: usize = 24;
/// The length of the id of a task of `holdfast run`.
const RUN_BYTES: usize = 12;
/// Moments of this century in seconds; the same range in milliseconds and nanoseconds.
const SECONDS: std::ops::Range<f64> = 1.5e9..4.0e9;

/// What is known of a scene: texts with their placeholders, the longest first, and all uuids that people see shortened.
#[derive(Clone, Debug, Default)]
pub struct Known {
    literals: Vec<(String, String)>,
    uuids: Vec<String>,
}

impl Known {
    /// Another text, and what stands for it.
    pub fn literal(&mut self, text: impl Into<String>, placeholder: &str) {
        self.literals.push((text.into(), placeholder.to_owned()));
        self.literals.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// A uuid that may be shown by its first digits.
    pub fn uuid(&mut self, uuid: impl Into<String>) {
        self.uuids.push(uuid.into());
    }
}

/// The numbers of a file's placeholders.
#[derive(Clone, Debug, Default)]
pub struct Normal {
    known: Known,
    numbers: HashMap<String, usize>,
    counts: HashMap<&'static str, usize>,
    /// Whether ids get no more numbers, as is needed for comparing.
    masks: bool,
}

/// A text with all ids alike.
pub fn mask(text: &str) -> String {
    Normal::default().masking().text(text)
}

/// Whether this is an id that is drawn by lot, or numbered by what happened to come first.
pub fn is_random_id(text: &str) -> bool {
    let masked = mask(text);
    masked == "<uuid>"
        || masked.ends_with("/<uuid>")
        || masked == "<bytes>"
        || masked.ends_with("<offer>") && !masked.contains(' ')
}

impl Normal {
    /// Nothing numbered yet.
    pub fn new(known: &Known) -> Normal {
        Normal { known: known.clone(), ..Normal::default() }
    }

    /// Another uuid that may be shown by its first digits.
    pub fn learn(&mut self, uuid: &str) {
        self.known.uuid(uuid);
    }

    /// The same for comparing: no id gets a number that has none yet.
    pub fn masking(&self) -> Normal {
        Normal { masks: true, ..self.clone() }
    }

    /// The text with placeholders.
    pub fn text(&mut self, text: &str) -> String {
        let text = &crate::file_systems::without(text);
        let mut out = String::new();
        let mut at = 0;
        while at < text.len() {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            match self.placeholder(before, &text[at..]) {
                Some((length, placeholder)) => {
                    out.push_str(&placeholder);
                    at += length;
                }
                None => {
                    let letter = text[at..].chars().next().expect("it is not at its end");
                    out.push(letter);
                    at += letter.len_utf8();
                }
            }
        }
        out
    }

    /// What begins here and how long it is, if it is something that differs.
    fn placeholder(&mut self, before: char, rest: &str) -> Option<(usize, String)> {
        if let Some((text, placeholder)) =
            self.known.literals.iter().find(|(text, _)| starts_word(before, rest, text))
        {
            return Some((text.len(), placeholder.clone()));
        }
        if is_word(before) {
            return None;
        }
        if let Some((length, placeholder)) = version(rest) {
            let name = rest[..length].trim_end_matches(|it: char| it.is_ascii_digit());
            return Some((length, format!("{name}{placeholder}")));
        }
        if let Some(uuid) = rest.get(..UUID_BYTES).filter(|it| is_uuid(it)) {
            return Some((UUID_BYTES, self.number("uuid", uuid)));
        }
        if let Some(short) = rest.get(..8).filter(|it| starts_word(before, rest, it)) {
            if let Some(uuid) = self.known.uuids.iter().find(|it| it.starts_with(short)).cloned() {
                return Some((8, self.number("uuid", &uuid)));
            }
        }
        if let Some(task) = rest.get(..RUN_BYTES).filter(|it| is_run(it)) {
            return Some((RUN_BYTES, self.number("run", task)));
        }
        if let Some(bytes) = rest.get(..BASE64_BYTES).filter(|it| is_base64(it)) {
            return Some((BASE64_BYTES, self.number("bytes", bytes)));
        }
        offer(rest)
            .map(|it| (it.len(), self.number("offer", it)))
            .or_else(|| moment(rest))
            .or_else(|| ago(rest))
            .or_else(|| time(rest))
    }

    fn number(&mut self, kind: &'static str, id: &str) -> String {
        if self.masks && !self.numbers.contains_key(id) {
            return format!("<{kind}>");
        }
        let next = self.counts.entry(kind).or_default();
        let number = self.numbers.entry(id.to_owned()).or_insert_with(|| {
            *next += 1;
            *next
        });
        format!("<{kind}-{number}>")
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether `rest` starts with a text that is no part of a longer word or number.
fn starts_word(before: char, rest: &str, text: &str) -> bool {
    let ends = |text: &str| text.chars().next().is_some_and(is_word);
    rest.starts_with(text) && !(ends(text) && is_word(before)) && !ends(&rest[text.len()..])
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    })
}

fn is_base64(text: &str) -> bool {
    let (data, end) = text.split_at(BASE64_BYTES - 2);
    end == "==" && data.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'+' || it == b'/')
}

/// `run-403e510d`, the task of `holdfast run`.
fn is_run(text: &str) -> bool {
    text.strip_prefix("run-").is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The length of the number of a commit, or the checksum of a ledger, with its field's name, and what stands for it. How many commits there are
/// depends on what happens to be written together.
fn version(rest: &str) -> Option<(usize, &'static str)> {
    let fields = [
        ("ledger_version", "<version>"),
        ("ledger  version", "<version>"),
        ("commit", "<version>"),
        ("ledger_checksum", "<checksum>"),
        ("checksum", "<checksum>"),
    ];
    let of_field = |(name, placeholder)| Some((rest.strip_prefix(name)?, placeholder));
    let (after, placeholder) = fields.into_iter().find_map(of_field)?;
    let after = after.trim_start_matches(['"', ':', ' ']);
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    (0 < digits).then(|| (rest.len() - after.len() + digits, placeholder))
}

/// `O12`, as the last part of an offer's id.
fn offer(rest: &str) -> Option<&str> {
    let digits = rest.strip_prefix('O')?.bytes().take_while(u8::is_ascii_digit).count();
    let id = &rest[..=digits];
    (0 < digits && !rest[id.len()..].starts_with(is_word)).then_some(id)
}

/// `2026-11-20 13:04:05Z`.
fn moment(rest: &str) -> Option<(usize, String)> {
    let text = rest.get(..20)?;
    let fits = text.bytes().zip("0000-00-00 00:00:00Z".bytes()).all(|(found, form)| match form {
        b'0' => found.is_ascii_digit(),
        b' ' => found == b' ' || found == b'T',
        other => found == other,
    });
    fits.then(|| (text.len(), "<moment>".to_owned()))
}

/// `3m ago`.
fn ago(rest: &str) -> Option<(usize, String)> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let unit =
        ["ms ago", "s ago", "m ago"].into_iter().find(|unit| rest[digits..].starts_with(unit))?;
    (0 < digits).then(|| (digits + unit.len(), "<ago>".to_owned()))
}

/// A number that is a moment by its size.
fn time(rest: &str) -> Option<(usize, String)> {
    let length = rest.bytes().take_while(|it| it.is_ascii_digit() || *it == b'.').count();
    let text = rest[..length].trim_end_matches('.');
    let number: f64 = text.parse().ok().filter(|_| !rest[length..].starts_with(is_word))?;
    let units = [(1.0, "<time s>"), (1e3, "<time ms>"), (1e9, "<time ns>")];
    let (_, placeholder) =
        units.into_iter().find(|(unit, _)| SECONDS.contains(&(number / unit)))?;
    Some((text.len(), placeholder.to_owned()))
}

#[test]
fn what_differs_is_replaced_and_nothing_else() {
    let mut known = Known::default();
    let cluster = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
    known.literal(cluster, "<cluster>");
    known.literal("34567", "<port>");
    known.uuid("11111111-4151-6172-8393-a4b5c6d7e8f9");
    let mut normal = Normal::new(&known);
    let text = format!("{cluster}-S0 {cluster}-O12 O12 O3 Oh 34567 134567 11111111 222222222 11111111-4151-6172-8393-a4b5c6d7e8f9");
    let expected = "<cluster>-S0 <cluster>-<offer-1> <offer-1> <offer-2> Oh <port> 134567 <uuid-1> 222222222 <uuid-1>";
    assert_eq!(normal.text(&text), expected);
    assert_eq!(
        normal.text("\"ledger_version\": 17, ledger_version: 5"),
        "\"ledger_version\": <version>, ledger_version: <version>"
    );
    assert_eq!(normal.text("\"checksum\": 1790000000"), "\"checksum\": <checksum>");
    let text = "1790000000.25, 1790000000123 1790000000123000000 20000 2026-11-20 13:04:05Z 15ms ago 4096.5 \"AAAAAAAAAAAAAAAAAAAAAA==\"";
    let expected = "<time s>, <time ms> <time ns> 20000 <moment> <ago> 4096.5 \"<bytes-1>\"";
    assert_eq!(normal.text(text), expected);
    assert!(
        is_random_id("11111111-4151-6172-8393-a4b5c6d7e8f9")
            && !is_random_id("web")
            && !is_random_id(&format!("{cluster}-S0"))
    );
}
