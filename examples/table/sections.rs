//! The sections of the table: what is compared with what, and the goal of each.

use std::hint::black_box;
use std::io::{self, Write};

use tamis::policy::automaton::Automaton;

use crate::clock::{Figures, Job, take_turns};
use crate::corpus::bodies::{self, Spelling};
use crate::corpus::drive::{CHUNK, Engine};
use crate::corpus::peers;
use crate::corpus::rules::Rules;

const MEGABYTE: usize = 1 << 20;

/// Of how many users the register in memory knows the verdict; more than the longest list holds.
const PEOPLE: u64 = 80_000;

const SERDE: &str = "serde_json parse and print";

/// A line's goal: at least so many times as fast as the line of that title.
type Goal<'a> = (&'a str, f64);

/// Prints figures relative to the lines that `against` names for each.
fn print(
    out: &mut impl Write,
    heading: &str,
    figures: &[Figures],
    against: impl Fn(&str) -> Vec<(String, Option<f64>)>,
) -> io::Result<()> {
    writeln!(out, "\n### {heading}\n")?;
    writeln!(out, "| case | GB/s | ± | compared | goal | |\n|---|---|---|---|---|---|")?;
    for line in figures {
        let (speed, spread) = (line.gigabytes(), line.spread());
        let mut compared = against(&line.title);
        compared.retain(|(title, _)| *title != line.title);
        if compared.is_empty() {
            writeln!(out, "| {} | {speed:.3} | {spread:.0} % | | | |", line.title)?;
        }
        for (position, (title, goal)) in compared.into_iter().enumerate() {
            let Some(other) = figures.iter().find(|other| other.title == title) else { continue };
            let times = line.times(other);
            let first = match position {
                0 => format!("{} | {speed:.3} | {spread:.0} %", line.title),
                _ => " | |".to_owned(),
            };
            let (goal, reached) = verdict(times, goal);
            writeln!(out, "| {first} | {times:.2} × {title} | {goal} | {reached} |")?;
        }
    }
    out.flush()
}

fn verdict(times: f64, goal: Option<f64>) -> (String, &'static str) {
    match goal {
        None => (String::new(), ""),
        Some(goal) => (format!("{goal}"), if times >= goal { "reached" } else { "missed" }),
    }
}

fn rewriting<'a>(engine: &'a Engine, title: &str, body: &'a [u8], chunk: usize) -> Job<'a> {
    let mut buffer = Vec::with_capacity(2 * chunk.max(CHUNK));
    Job::new(title, body.len(), move || {
        black_box(engine.rewrite(body, chunk, &mut buffer));
    })
}

fn serde(body: &[u8]) -> Job<'_> {
    Job::new(SERDE, body.len(), || {
        black_box(peers::parse_and_print(body));
    })
}

fn sonic(body: &[u8]) -> Job<'_> {
    Job::new("sonic-rs parse and print (generic build)", body.len(), || {
        black_box(peers::sonic(body));
    })
}

/// The main cases, on the list that the goals speak of.
pub(crate) fn users(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    const NAIVE: &str = "serde_json with jsonpath-rust, ten rules";
    let body = bodies::users(MEGABYTE);
    let cases: [(Rules, &[Goal<'_>]); 8] = [
        (Rules::Nothing, &[(SERDE, 13.0)]),
        (Rules::Miss, &[(SERDE, 13.0)]),
        (Rules::Descendants, &[(SERDE, 10.0)]),
        (Rules::Dense, &[(SERDE, 8.0), (NAIVE, 100.0)]),
        (Rules::DensePaths, &[(SERDE, 8.0)]),
        (Rules::DefaultDeny, &[(SERDE, 7.0)]),
        (Rules::Subjects, &[("default-deny, 42 leaves, two pseudonyms", 0.85)]),
        (Rules::Subtree, &[]),
    ];
    let engines: Vec<Engine> = cases.iter().map(|(rules, _)| rules.engine(PEOPLE)).collect();
    writeln!(out, "\n### What the rules do\n")?;
    writeln!(out, "| rules, {} bytes | bytes that leave |\n|---|---|", body.len())?;
    for ((rules, _), engine) in cases.iter().zip(&engines) {
        let written = engine.rewrite(&body, CHUNK, &mut Vec::new());
        writeln!(out, "| {} | {} % |", rules.title(), 100 * written / body.len())?;
    }
    let mut buffer = Vec::new();
    let mut jobs = vec![
        serde(&body),
        Job::new("copy (memcpy)", body.len(), || peers::copy(&body, CHUNK, &mut buffer)),
        Job::new("serde_json, only checking", body.len(), || peers::validate(&body)),
        sonic(&body),
        Job::new(NAIVE, body.len(), || {
            black_box(peers::naive(&body));
        }),
    ];
    for ((rules, _), engine) in cases.iter().zip(&engines) {
        jobs.push(rewriting(engine, &rules.title(), &body, CHUNK));
    }
    print(out, "1 MB user list, chunks of 16 KiB", &take_turns(jobs, rounds), |title| {
        let goals = cases.iter().find(|(rules, _)| rules.title() == title);
        match goals.map(|(_, goals)| *goals) {
            None | Some([]) => vec![(SERDE.to_owned(), None)],
            Some(goals) => {
                goals.iter().map(|(title, goal)| ((*title).to_owned(), Some(*goal))).collect()
            }
        }
    })
}

/// That rules cost nothing by their number.
pub(crate) fn rule_counts(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    let body = bodies::users(MEGABYTE);
    let kinds = [Rules::Descending as fn(usize) -> Rules, Rules::Paths];
    for kind in kinds {
        let counts = [10, 100, 1000].map(kind);
        let engines: Vec<Engine> = counts.iter().map(|rules| rules.engine(0)).collect();
        let jobs = counts
            .iter()
            .zip(&engines)
            .map(|(rules, engine)| rewriting(engine, &rules.title(), &body, CHUNK));
        let figures = take_turns(jobs.collect(), rounds);
        let ten = kind(10).title();
        let heading = format!("The number of rules: {ten} and more, ten of which hit");
        print(out, &heading, &figures, |_| vec![(ten.clone(), Some(0.95))])?;
    }
    Ok(())
}

/// Other bodies than the list.
pub(crate) fn corpora(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    let cases = [
        ("pretty-printed user list", bodies::pretty(MEGABYTE), Rules::Dense, None),
        (
            "timeline in UTF-8",
            bodies::timeline(MEGABYTE, Spelling::Plain),
            Rules::DenseTimeline,
            None,
        ),
        (
            "timeline, all that is not ASCII escaped",
            bodies::timeline(MEGABYTE, Spelling::Escaped),
            Rules::DenseTimeline,
            None,
        ),
        ("floats of 17 digits", bodies::floats(MEGABYTE), Rules::Dense, Some(6.0)),
    ];
    for (title, body, dense, goal) in cases {
        let all = [Rules::Nothing, Rules::Descendants, dense];
        let engines = all.map(|rules| rules.engine(0));
        let mut jobs = vec![serde(&body), sonic(&body)];
        for (rules, engine) in all.iter().zip(&engines) {
            jobs.push(rewriting(engine, &rules.title(), &body, CHUNK));
        }
        let heading = format!("{title}, {} KB", body.len() / 1000);
        print(out, &heading, &take_turns(jobs, rounds), |title| {
            vec![(SERDE.to_owned(), goal.filter(|_| title == Rules::Nothing.title()))]
        })?;
    }
    let lines = bodies::lines(MEGABYTE);
    let all = [Rules::Nothing, Rules::Dense];
    let engines = all.map(|rules| rules.engine(0));
    let each = || lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut jobs = vec![Job::new(SERDE, lines.len(), || {
        for line in each() {
            black_box(peers::parse_and_print(line));
        }
    })];
    for (rules, engine) in all.iter().zip(&engines) {
        let mut buffer = Vec::with_capacity(CHUNK);
        let lines = &lines;
        jobs.push(Job::new(&rules.title(), lines.len(), move || {
            black_box(engine.rewrite_lines(lines, &mut buffer));
        }));
    }
    let mean = lines.len() / each().count();
    let heading = format!("Lines of {mean} bytes, each a document of its own");
    print(out, &heading, &take_turns(jobs, rounds), |_| vec![(SERDE.to_owned(), None)])
}

/// From one record to a body that no cache holds.
pub(crate) fn sizes(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    for (title, size, goal) in [("1 KB", 1 << 10, Some(5.0)), ("10 KB", 10 << 10, None)] {
        let body = bodies::users(size);
        let all = [Rules::Nothing, Rules::Dense, Rules::DefaultDeny];
        let engines = all.map(|rules| rules.engine(0));
        let mut jobs = vec![serde(&body), sonic(&body)];
        for (rules, engine) in all.iter().zip(&engines) {
            jobs.push(rewriting(engine, &rules.title(), &body, CHUNK));
        }
        let heading = format!("{title} body ({} bytes), set-up included", body.len());
        print(out, &heading, &take_turns(jobs, rounds), |title| {
            let own = all.iter().any(|rules| rules.title() == title);
            vec![(SERDE.to_owned(), goal.filter(|_| own))]
        })?;
    }
    for rules in [Rules::Nothing, Rules::Dense, Rules::DefaultDeny] {
        let (small, large) = (bodies::users(MEGABYTE), bodies::users(64 * MEGABYTE));
        let engine = rules.engine(PEOPLE);
        let jobs = vec![
            rewriting(&engine, "1 MB", &small, CHUNK),
            rewriting(&engine, "64 MB", &large, CHUNK),
        ];
        // One call takes as long as a hundred repetitions of the others.
        let figures = take_turns(jobs, rounds.min(7));
        let heading = format!("64 MB against 1 MB: {}", rules.title());
        print(out, &heading, &figures, |_| vec![("1 MB".to_owned(), Some(0.8))])?;
    }
    Ok(())
}

/// That speed does not hang on how the network cuts.
pub(crate) fn chunks(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    const USUAL: &str = "16 KiB";
    let body = bodies::users(MEGABYTE);
    let sizes =
        [("64 B", 64), ("1 KiB", 1 << 10), ("4 KiB", 1 << 12), (USUAL, CHUNK), ("64 KiB", 1 << 16)];
    for rules in [Rules::Nothing, Rules::Dense] {
        let engine = rules.engine(0);
        let jobs = sizes.iter().map(|(title, size)| rewriting(&engine, title, &body, *size));
        let figures = take_turns(jobs.collect(), rounds);
        let heading = format!("Chunk sizes: {}", rules.title());
        print(out, &heading, &figures, |title| {
            let goal = match title {
                "64 B" => Some(0.6),
                "4 KiB" => Some(0.95),
                _ => None,
            };
            vec![(USUAL.to_owned(), goal)]
        })?;
    }
    Ok(())
}

/// From selectors to the automaton.
pub(crate) fn compilation(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    const PARSING: &str = "serde_json parsing 1 MB";
    /// In milliseconds.
    const GOAL: f64 = 50.0;
    let body = bodies::users(MEGABYTE);
    let all = [Rules::Paths(1000), Rules::Descending(1000), Rules::DefaultDeny];
    let selectors = all.map(Rules::selectors);
    let mut jobs = vec![Job::new(PARSING, body.len(), || {
        black_box(serde_json::from_slice::<serde_json::Value>(&body).expect("JSON"));
    })];
    for (rules, (selectors, unlisted)) in all.iter().zip(&selectors) {
        jobs.push(Job::new(&rules.title(), body.len(), || {
            black_box(Automaton::compile(selectors, *unlisted).expect("within the bound"));
        }));
    }
    let figures = take_turns(jobs, rounds.min(11));
    writeln!(out, "\n### Compiling rules\n")?;
    writeln!(out, "| case | ms | ± | of parsing 1 MB | goal, ms | |\n|---|---|---|---|---|---|")?;
    for line in &figures {
        let (time, spread) = (line.milliseconds(), line.spread());
        let share = 1.0 / line.times(&figures[0]);
        let (goal, reached) = match (line.title == PARSING, time <= GOAL) {
            (true, _) => (String::new(), ""),
            (false, true) => (GOAL.to_string(), "reached"),
            (false, false) => (GOAL.to_string(), "missed"),
        };
        let title = &line.title;
        writeln!(out, "| {title} | {time:.3} | {spread:.0} % | {share:.3} | {goal} | {reached} |")?;
    }
    out.flush()
}
