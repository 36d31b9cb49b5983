//! The files that are looked at.

use std::fs;
use std::path::Path;

/// A file of ours, as text.
pub(super) struct File {
    /// Path below the workspace's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The folder's or file's place says that it is test code as a whole.
    pub(super) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "benches" | "tests.rs" | "fuzz"))
    }
}

/// Folders with nothing of ours in them.
const SKIPPED: &[&str] = &["target", "node_modules", "__pycache__", ".git", ".test", "data"];
const KINDS: &[&str] = &["rs", "md", "py", "mjs", "js", "toml", "sh", "html", "css"];

/// Every file of ours below `root`, in order of their paths.
pub(super) fn read(root: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    walk(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(root, &path, files)?;
        } else if path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)) {
            let inside = path.strip_prefix(root).expect("walked from the root");
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", inside.display()))?;
            files.push(File { path: inside.to_string_lossy().replace('\\', "/"), text });
        }
    }
    Ok(())
}
