//! `cargo xtask NAME`: the project's own tasks, one file each. A new task is its file with a
//! `TASK`, a `mod` line and a place in `TASKS`.

mod compare;
mod counts;
mod golden;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

/// Something that can be asked of the project.
struct Task {
    name: &'static str,
    /// One line for the help.
    about: &'static str,
    /// Takes the workspace's root and the arguments after the name; true when all is well.
    run: fn(&Path, &[String]) -> Result<bool, String>,
}

const TASKS: &[Task] = &[compare::TASK, counts::TASK, golden::TASK, tidy::TASK];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = arguments.collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        print!("{}", help());
        let is_asked = matches!(name.as_str(), "help" | "--help" | "-h");
        return if is_asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    match (task.run)(root, &rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{name}: {reason}");
            ExitCode::from(2)
        }
    }
}

fn help() -> String {
    let mut text = "Usage: cargo xtask TASK\n\n".to_owned();
    for task in TASKS {
        text += &format!("  {:<10} {}\n", task.name, task.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_task() {
        let text = help();
        assert!(TASKS.iter().all(|task| text.contains(task.name) && text.contains(task.about)));
    }
}
