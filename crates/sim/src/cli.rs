//! stub for now, replaced below
use std::process::ExitCode;
/// x
pub fn run(words: &[String]) -> ExitCode {
    let n: u64 = words.first().and_then(|it| it.parse().ok()).unwrap_or(10);
    let s: u64 = words.get(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    let started = std::time::Instant::now();
    let shape = crate::Shape::default();
    let mut steps = 0;
    let detail = match words.get(2).map(String::as_str) { Some("plot") => crate::story::Detail::Plot, Some("all") => crate::story::Detail::Messages, _ => crate::story::Detail::Silent };
    for seed in s..s + n {
        let o = crate::storm::run(seed, &shape, None, detail);
        steps += o.steps;
        for l in &o.story { println!("{l}"); }
        if let Some((v, at)) = &o.violation {
            println!("seed {seed}: {v} at {at}");
            if words.get(3).is_some() { let (f, o) = crate::storm::shrink(seed, &shape, v.rule); println!("{f:#?}"); for l in &o.story { println!("{l}"); } }
        }
    }
    println!("{n} seeds {steps} steps in {:?}", started.elapsed());
    ExitCode::SUCCESS
}
