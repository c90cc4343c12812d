//! The tour in the README is what the demo prints.

use std::path::Path;
use std::process::Command;

/// Runs the demo's tour in a folder of its own.
fn tour(policy: &str, dir: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["demo", "--tour-only", "--port", "0", "--policy", policy, "--dir"])
        .arg(dir)
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Masks what differs from one run to the next: the folder, ports, pseudonyms, ids of decisions.
fn masked(text: &str, dir: &Path) -> String {
    let text = text.replace(&dir.display().to_string(), ".demo");
    let mut out = String::new();
    for line in text.lines() {
        let line =
            masked_after(line, "ps1_", |c| c.is_ascii_alphanumeric() || "_-.".contains(c), "…");
        let line =
            masked_after(&line, "tk1_", |c| c.is_ascii_alphanumeric() || "_-.".contains(c), "…");
        let line = masked_after(&line, "\"instance\": \"", |c| c != '"', "…");
        let line = masked_after(&line, "https://localhost:", |c| c.is_ascii_digit(), "8443");
        let line = masked_after(&line, "http://127.0.0.1:", |c| c.is_ascii_digit(), "9000");
        // How many records are in by now, and the hash of the last one.
        let line = match line.split_once(" records, head ") {
            Some(_) => "… records, head …".to_owned(),
            None => line,
        };
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Replaces what follows each `start`, as long as it is `inside`.
fn masked_after(line: &str, start: &str, inside: impl Fn(char) -> bool, mask: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(start) {
        let (before, after) = rest.split_at(at + start.len());
        out.push_str(before);
        out.push_str(mask);
        rest = after.trim_start_matches(&inside);
    }
    out + rest
}

/// The console block of the README.
fn captured() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).expect("the README is there");
    let (_, after) = readme.split_once("```console\n").expect("the README has a tour");
    after.split_once("```").expect("the tour ends").0.to_owned()
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("demo");
    let printed = masked(&tour("letsmasak", &dir), &dir);
    // The README holds the masked text. On a difference: replace its block by what is printed here,
    // after reading it.
    assert_eq!(captured(), printed, "the README differs from:\n{printed}");
}

#[test]
fn the_tour_is_the_same_the_second_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("demo");
    let (first, second) = (tour("letsmasak", &dir), tour("letsmasak", &dir));
    let without_ledger = |text: &str| {
        let text = masked(text, &dir);
        let end = text.find("tamis ledger verify").expect("the tour ends with the ledger");
        text[..end].to_owned()
    };
    assert_eq!(without_ledger(&first), without_ledger(&second));
    // The key ring stays, so pseudonyms do too.
    let pseudonym = |text: &str| {
        let at = text.find("ps1_").expect("the tour shows a pseudonym");
        text[at..].chars().take_while(|&c| c != '"').collect::<String>()
    };
    assert_eq!(pseudonym(&first), pseudonym(&second));
}

#[test]
fn every_policy_has_a_tour() {
    for policy in ["webllet", "we-lock"] {
        let folder = tempfile::tempdir().expect("a folder");
        let printed = tour(policy, &folder.path().join("demo"));
        assert!(printed.contains("$ tamis ledger verify"), "{printed}");
        // Every recipient of the tour is known and gets something.
        assert!(printed.contains("curl -s --cacert"), "{printed}");
        assert!(!printed.contains("/.well-known/tamis/problems/"), "{printed}");
    }
}
