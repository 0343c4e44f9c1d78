//! The file systems of the machine that tests run on: what they are called, how large they are and how much of them is free is nobody's
//! expectation.
//!
//! Relies on the names of the fields and on the form of a device's number. Never touches what is claimed or can be claimed.

/// Fields whose values are the machine's, or depend on when its disks were measured.
const FIELDS: [&str; 6] = [
    "file_system",
    "file_system_mb",
    "file_system_free_mb",
    "used_mb",
    "used_bytes",
    "used_measured_ms",
];

/// The text with placeholders for them.
pub fn without(text: &str) -> String {
    let mut lines: Vec<String> = text.split('\n').map(line).collect();
    // A table and its columns are wide in each line or in none.
    lines.iter_mut().for_each(|it| {
        if let Some(row) = row(it) {
            *it = row;
        }
        if let Some(unmeasured) = unmeasured(it) {
            *it = unmeasured;
        }
    });
    lines.join("\n")
}

/// `"used_mb": 5,` or `used_mb: 5`.
fn line(text: &str) -> String {
    let Some((field, value)) = text.split_once(": ") else { return text.to_owned() };
    let name = field.trim_start_matches([' ', '-']).trim_matches('"');
    if !FIELDS.contains(&name) {
        return text.to_owned();
    }
    let comma = if value.ends_with(',') { "," } else { "" };
    format!("{field}: <{name}>{comma}")
}

/// A row of `disk list -o wide`: the cell with a device's number, the two sizes after it, and what volumes use, two cells before it.
fn row(text: &str) -> Option<String> {
    let mut cells: Vec<&str> = text.split("  ").collect();
    let at = cells.iter().position(|it| is_device(it))?;
    if at < 2 || cells.len() < at + 3 {
        return None;
    }
    for (index, placeholder) in
        [(at - 2, "<used>"), (at, "<file system>"), (at + 1, "<size>"), (at + 2, "<free>")]
    {
        cells[index] = placeholder;
    }
    Some(cells.join("  "))
}

/// A row of `claim list -o wide` or a line of a claim's sheet, as if its volume had not been measured yet.
fn unmeasured(text: &str) -> Option<String> {
    if text.starts_with("used ") && text.contains(", measured ") {
        let name = &text[..text.find(|it: char| it.is_ascii_digit())?];
        return Some(format!("{name}not measured"));
    }
    let is_used = |cell: &&str| {
        cell.split_once(" (")
            .is_some_and(|(size, age)| size.ends_with("iB") && age.ends_with(" ago)"))
    };
    let cell = text.split("  ").find(is_used)?;
    Some(text.replacen(cell, "-", 1))
}

fn is_device(cell: &str) -> bool {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    cell.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

#[test]
fn what_is_the_machines_is_replaced_and_nothing_else() {
    let text = "  \"used_mb\": 5,\n  used_mb: null\n- file_system: 8:1\n\"trash_mb\": 7\nat 8:1";
    let expected = "  \"used_mb\": <used_mb>,\n  used_mb: <used_mb>\n- file_system: <file_system>\n\"trash_mb\": 7\nat 8:1";
    assert_eq!(without(text), expected);
    assert_eq!(without("used  5 MiB of 7 MiB, measured 3s ago"), "used  not measured");
    assert_eq!(without("a  5 MiB  4 KiB (3s ago)  b"), "a  5 MiB  -  b");
    let row = "a  root  1 GiB  5 MiB  0 MiB  254:0  252 GiB  58.7 GiB";
    assert_eq!(without(row), "a  root  1 GiB  <used>  0 MiB  <file system>  <size>  <free>");
}
