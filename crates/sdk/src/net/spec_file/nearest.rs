//! Which known word somebody may have meant.

/// The known word that is nearest to what was written, if one is near.
pub(super) fn nearest<'a>(known: &[&'a str], written: &str) -> Option<&'a str> {
    // What is that long is no slip of the hand.
    if 64 < written.len() {
        return None;
    }
    let near = |it: &&'a str| distance(it, written);
    let best = known.iter().copied().min_by_key(near)?;
    let limit = if written.chars().count() <= 4 { 1 } else { 2 };
    let is_part = 3 <= written.len() && (best.starts_with(written) || written.starts_with(best));
    (distance(best, written) <= limit || is_part).then_some(best)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) =
        (one.to_lowercase().chars().collect(), other.to_lowercase().chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let same = usize::from(one[i - 1] != other[j - 1]);
            let mut best = (rows[i - 1][j - 1] + same).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if 1 < i && 1 < j && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized() {
        let known = ["count", "command", "memory", "cpus", "ports"];
        for (written, meant) in [
            ("cuont", Some("count")),
            ("comand", Some("command")),
            ("mem", Some("memory")),
            ("cpu", Some("cpus")),
            ("Ports", Some("ports")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(&known, written), meant, "{written}");
        }
        assert_eq!(nearest(&[], "x"), None);
        assert_eq!(nearest(&known, &"c".repeat(100_000)), None);
    }
}
