//! The verdict: a table for people, an exit code for scripts.

use super::story::Story;

/// How many kinds of kill there are.
const KINDS: usize = 5;

/// Prints the verdict; returns the exit code.
pub fn print(story: &Story, left: &[String]) -> i32 {
    println!(
        "\n  {:<28} {:>14} {:>16} {:>12} {:>10}",
        "KILLED WITH -9", "BACK IN", "VOLUMES", "RECORDS", "LOST"
    );
    for scene in &story.scenes {
        let volumes = match (scene.back, scene.same_volumes) {
            (None, _) => "-",
            (_, true) => "the same",
            (_, false) => "NOT THE SAME",
        };
        let back = scene
            .back
            .map_or("NEVER".to_owned(), |it| format!("{:.0} ms", it.as_secs_f64() * 1000.0));
        println!(
            "  {:<28} {back:>14} {volumes:>16} {:>12} {:>10}",
            scene.killed, scene.records, scene.lost
        );
    }
    let lost: usize = story.scenes.iter().map(|it| it.lost).sum();
    let same = story.scenes.iter().all(|it| it.same_volumes);
    let good =
        story.complete && KINDS <= story.scenes.len() && same && lost == 0 && left.is_empty();
    println!();
    for (member, volume) in story.volumes() {
        println!("  member {member}: volume {}", volume.uuid);
    }
    for process in left {
        println!("  LEFT RUNNING: {process}");
    }
    if left.is_empty() {
        println!("  no process is left running");
    }
    println!(
        "  verdict: {}",
        if good { "PASSED: every member is on its own volume, 0 records lost" } else { "FAILED" }
    );
    i32::from(!good)
}
