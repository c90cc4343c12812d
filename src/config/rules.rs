//! The rules file and what it includes, from disk. Nothing outside of its folder is read, whatever
//! the rules say and wherever a link leads.

use std::path::Path;
use std::{fs, io};

use crate::policy::Sources;

/// Reads the files of one policy. An included file that cannot be read is a finding about the rules,
/// and rejects them; the error is about the rules file itself.
///
/// # Errors
/// The rules file cannot be read.
pub fn rules(file: &Path) -> io::Result<Sources> {
    let text = fs::read_to_string(file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
    Ok(Sources::gather(&file.display().to_string(), &text, |path| {
        let file = folder.join(path).canonicalize().map_err(|error| error.to_string())?;
        if !file.starts_with(&folder) {
            return Err("it lies outside of the rules' folder".to_owned());
        }
        fs::read_to_string(file).map_err(|error| error.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::rules;
    use crate::policy::Policy;

    /// What this says of rules that include one file.
    fn found(text: &str) -> String {
        let outside = tempfile::tempdir().expect("a folder");
        let folder = outside.path().join("rules");
        fs::create_dir(&folder).expect("made");
        fs::write(outside.path().join("secret.yaml"), "purposes: {}").expect("written");
        fs::write(folder.join("inside.yaml"), "purposes: {}").expect("written");
        let link = folder.join("link.yaml");
        std::os::unix::fs::symlink(outside.path().join("secret.yaml"), link).expect("made");
        let file = folder.join("rules.yaml");
        fs::write(&file, text).expect("written");
        let sources = rules(&file).expect("it is there");
        Policy::of(&sources).expect_err("it has no policy").to_string()
    }

    #[test]
    fn nothing_outside_of_the_folder_is_read() {
        assert!(!found("include: [inside.yaml]").contains("T108"));
        for (path, complaint) in [
            ("link.yaml", "outside of the rules' folder"),
            ("../secret.yaml", "plain names"),
            ("/etc/hostname", "plain names"),
            ("nowhere.yaml", "cannot be included"),
            ("rules.yaml", "include itself"),
        ] {
            let found = found(&format!("include: [{path}]"));
            assert!(found.contains("error[T108]") && found.contains(complaint), "{found}");
        }
        assert!(found("include: [inside.yaml, inside.yaml]").contains("twice"));
    }
}
