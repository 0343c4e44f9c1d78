//! Ids as short as a person can still use them. Every short form is accepted wherever an id is.
//!
//! Never used in JSON or with `-o wide`, where ids are whole.

use uuid::Uuid;

/// The length of a uuid as text, in bytes.
const UUID_BYTES: usize = 36;
/// How much of a uuid is shown, in bytes.
const SHOWN_BYTES: usize = 8;

/// `S0` of `<cluster>-S0`, the first eight digits of a uuid, anything else whole.
pub fn short(id: &str) -> &str {
    match (tail(id), id.get(..SHOWN_BYTES)) {
        (Some(tail), _) => tail,
        (None, Some(head)) if id.len() == UUID_BYTES && Uuid::parse_str(id).is_ok() => head,
        _ => id,
    }
}

/// What follows the cluster's uuid in the id of an agent, framework or offer.
pub fn tail(id: &str) -> Option<&str> {
    let (cluster, rest) = id.split_at_checked(UUID_BYTES)?;
    let rest = rest.strip_prefix('-').filter(|it| !it.is_empty())?;
    Uuid::parse_str(cluster).is_ok().then_some(rest)
}

/// Short forms of all these, where they differ; else whole.
pub fn short_all<'a>(ids: &[&'a str]) -> Vec<&'a str> {
    let shorts: Vec<&str> = ids.iter().map(|it| short(it)).collect();
    let unique = |at: usize| {
        shorts
            .iter()
            .enumerate()
            .all(|(other, it)| other == at || *it != shorts[at] || ids[other] == ids[at])
    };
    (0..ids.len()).map(|at| if unique(at) { shorts[at] } else { ids[at] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";

    #[test]
    fn ids_get_short() {
        assert_eq!(short(&format!("{CLUSTER}-S12")), "S12");
        assert_eq!(short(CLUSTER), "0d1e2f30");
        for whole in [
            "",
            "task-1",
            "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-",
            "0d1e2f30-4151-6172-8393-a4b5c6d7e8fx",
            "ünïcödé-ünïcödé-ünïcödé-ünïc",
        ] {
            assert_eq!(short(whole), whole);
        }
    }

    #[test]
    fn what_would_be_the_same_stays_whole() {
        let (one, other) = (format!("{CLUSTER}-S1"), "1d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S1");
        assert_eq!(short_all(&[&one, other, "x"]), [one.as_str(), other, "x"]);
        assert_eq!(short_all(&[&one, &one]), ["S1", "S1"]);
    }
}
