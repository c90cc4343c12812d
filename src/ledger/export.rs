//! A chain from a server as the directory that would hold the same: for auditors, whose tools read files.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::checkpoint::keep_in_file;
use super::retire::note_cut;
use super::segment::{path_of, tree_path_of};
use super::{Place, ServerChain};

/// Writes `chain` into a new directory, for its owner only: segments, the trees noted before them, signed
/// checkpoints, cuts. How many segments there are. Nothing is checked; verify what was written.
///
/// # Errors
/// The server does not answer, or the directory is there already.
pub fn export(chain: &ServerChain, directory: &Path) -> io::Result<usize> {
    DirBuilder::new().mode(0o700).create(directory)?;
    // Before the records: whatever is signed is there by then.
    let notes = chain.dated_notes()?;
    let cuts = chain.cuts()?;
    let place = Place::Server(chain.clone());
    let numbers = place.numbers()?;
    for number in &numbers {
        let mut file = new(&path_of(directory, *number))?;
        io::copy(&mut place.open(*number)?, &mut file)?;
        file.sync_all()?;
        if let Some(tree) = place.noted_tree(*number)?.filter(|tree| tree.size() > 0) {
            writeln!(new(&tree_path_of(directory, *number))?, "{}", tree.to_line())?;
        }
    }
    for (at, note) in notes {
        keep_in_file(directory, &at, &note)?;
    }
    for (cut, at) in cuts {
        note_cut(directory, &cut, &at)?;
    }
    Ok(numbers.len())
}

fn new(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}
