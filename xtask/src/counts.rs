//! `cargo xtask counts`: how many instructions an operation of the server takes, against what is
//! recorded. Callgrind counts them, so that other programs on the machine do not matter.
//! docs/counts.md says what each operation includes and how to read the record.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::Task;

pub(crate) const TASK: Task = Task {
    name: "counts",
    about: "counts instructions per operation under callgrind, against golden/counts.txt",
    run,
};

const HELP: &str = "\
Usage: cargo xtask counts [OPTIONS]

  --record         renews golden/counts.txt, for a look at the difference
  --only NAME      one operation
  --profile NAME   shows the functions that an operation spends its instructions in
  --no-build       takes target/release as it is
";
const RECORD: &str = "golden/counts.txt";
/// Seconds for one run, which takes about two: a server that does not answer must not stop us.
const PATIENCE: &str = "120";
/// Functions that a profile shows.
const SHOWN: usize = 40;

fn run(root: &Path, arguments: &[String]) -> Result<bool, String> {
    let Some(options) = Options::read(arguments)? else {
        print!("{HELP}");
        return Ok(true);
    };
    if Command::new("valgrind").arg("--version").output().is_err() {
        let remedy = "valgrind is not installed (apt-get install valgrind)";
        if options.records || options.profile.is_some() {
            return Err(remedy.into());
        }
        println!("left out: {remedy}");
        return Ok(true);
    }
    if options.builds {
        build(root)?;
    }
    let bench = Bench::find(root)?;
    match options.profile {
        Some(name) => bench.profile(root, &name),
        None if options.records => record(root, &bench),
        None => check(root, &bench, options.only.as_deref()),
    }
}

#[derive(Default)]
struct Options {
    records: bool,
    only: Option<String>,
    profile: Option<String>,
    builds: bool,
}

impl Options {
    /// Reads the arguments; none when help is wanted.
    fn read(arguments: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self { builds: true, ..Self::default() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next().cloned();
                value.map(Some).ok_or_else(|| format!("{argument} needs a name\n{HELP}"))
            };
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--record" => options.records = true,
                "--no-build" => options.builds = false,
                "--only" => options.only = value()?,
                "--profile" => options.profile = value()?,
                _ => return Err(format!("there is no {argument}\n{HELP}")),
            }
        }
        Ok(Some(options))
    }
}

/// Together with the server, although that is not run: so both are made from the same parts.
fn build(root: &Path) -> Result<(), String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let arguments = ["build", "--release", "--locked", "-p", "waxwing-server", "-p"];
    let mut build = Command::new(cargo);
    let built = build.args(arguments).arg("waxwing-bench").current_dir(root).status();
    match built {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the release build failed".into()),
        Err(error) => Err(format!("{cargo}: {error}")),
    }
}

/// What is counted, as the program lists it.
struct Operation {
    name: String,
    fewer: u64,
    more: u64,
    parts: u64,
    slack: u64,
}

/// The program that runs operations.
struct Bench {
    program: PathBuf,
    operations: Vec<Operation>,
}

impl Bench {
    fn find(root: &Path) -> Result<Self, String> {
        let program = root.join("target/release/waxwing-bench");
        let listed = output(Command::new(&program).arg("--list"))?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let operations = listed.lines().map(operation).collect::<Option<_>>();
        let operations = operations.ok_or("waxwing-bench lists what is no operation")?;
        Ok(Self { program, operations })
    }

    /// Instructions for one part of a run of `operation`.
    fn count(&self, operation: &Operation) -> Result<u64, String> {
        let fewer = self.collected(operation, operation.fewer)?;
        let more = self.collected(operation, operation.more)?;
        let parts = (operation.more - operation.fewer) * operation.parts;
        Ok(more.saturating_sub(fewer) / parts)
    }

    /// The median of three counts.
    fn median(&self, operation: &Operation) -> Result<u64, String> {
        let mut counts = (0..3).map(|_| self.count(operation)).collect::<Result<Vec<_>, _>>()?;
        counts.sort_unstable();
        Ok(counts[1])
    }

    /// All instructions of so many runs, of all threads.
    fn collected(&self, operation: &Operation, runs: u64) -> Result<u64, String> {
        let said = output(&mut self.callgrind(operation, runs, Path::new("/dev/null")))?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let total = said.lines().find_map(|line| line.split_once("Collected : "));
        let total = total.and_then(|(_, total)| total.trim().parse().ok());
        total.ok_or_else(|| format!("callgrind did not say what it collected:\n{said}"))
    }

    fn callgrind(&self, operation: &Operation, runs: u64, out: &Path) -> Command {
        let mut command = Command::new("timeout");
        command.args([PATIENCE, "valgrind", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}", out.display()));
        command.arg(&self.program).args([&operation.name, &runs.to_string()]);
        command
    }

    /// Shows in which functions a run spends its instructions.
    fn profile(&self, root: &Path, name: &str) -> Result<bool, String> {
        let operation = self.operations.iter().find(|operation| operation.name == name);
        let operation = operation.ok_or_else(|| format!("there is no operation {name:?}"))?;
        let prepared = self.functions(operation, operation.fewer, root)?;
        let mut functions: Vec<(String, u64)> = self
            .functions(operation, operation.more, root)?
            .into_iter()
            .map(|(name, count)| {
                let more = count.saturating_sub(prepared.get(&name).copied().unwrap_or(0));
                (name, more / (operation.more - operation.fewer) / operation.parts)
            })
            .collect();
        functions.sort_unstable_by_key(|(name, count)| (Reverse(*count), name.clone()));
        let all: u64 = functions.iter().map(|(_, count)| count).sum();
        for (name, count) in functions.iter().take(SHOWN) {
            println!("{count:>8} {:>5.1} %  {name}", *count as f64 * 100.0 / all as f64);
        }
        Ok(true)
    }

    /// Instructions in each function itself, for so many runs.
    fn functions(
        &self,
        operation: &Operation,
        runs: u64,
        root: &Path,
    ) -> Result<Functions, String> {
        let out = root.join("target/callgrind.out");
        output(&mut self.callgrind(operation, runs, &out))?;
        let mut annotate = Command::new("callgrind_annotate");
        let shown = output(annotate.args(["--auto=no", "--threshold=100"]).arg(&out))?;
        Ok(String::from_utf8_lossy(&shown.stdout).lines().filter_map(function).collect())
    }
}

type Functions = HashMap<String, u64>;

/// A line such as `1,234 ( 5.67%)  file:function [object]`.
fn function(line: &str) -> Option<(String, u64)> {
    let (count, rest) = line.trim_start().split_once(" (")?;
    let (_, name) = rest.split_once("%)  ")?;
    let (_, name) = name.split_once(':')?;
    let name = name.rsplit_once(" [").map_or(name, |(name, _)| name);
    Some((name.to_owned(), count.replace(',', "").parse().ok()?))
}

fn operation(line: &str) -> Option<Operation> {
    let mut words = line.split(' ');
    let name = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some(Operation { name, fewer: number()?, more: number()?, parts: number()?, slack: number()? })
}

fn output(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// What was counted, and where.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    /// The kind of processor that callgrind simulates here.
    machine: String,
    compiler: String,
    counts: Vec<(String, u64)>,
}

impl Record {
    /// Nothing, counted here.
    fn here() -> Result<Self, String> {
        let said = output(Command::new("rustc").arg("--version"))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let compiler = said.split(' ').nth(1).unwrap_or_default().to_owned();
        Ok(Self { machine: machine(), compiler, counts: Vec::new() })
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let broken = || format!("{RECORD}: {line:?} is neither a place nor a count");
            match line.split_once(char::is_whitespace).ok_or_else(broken)? {
                ("machine", value) => record.machine = value.trim().to_owned(),
                ("compiler", value) => record.compiler = value.trim().to_owned(),
                (name, value) => {
                    let count = value.trim().parse().map_err(|_| broken())?;
                    record.counts.push((name.to_owned(), count));
                }
            }
        }
        Ok(record)
    }

    fn write(&self) -> String {
        let mut text = "# Instructions per operation, see docs/counts.md. \
                        Renewed by `cargo xtask counts --record`.\n"
            .to_owned();
        for (name, value) in [("machine", &self.machine), ("compiler", &self.compiler)] {
            let _ = writeln!(text, "{name:<16}{value}");
        }
        for (name, count) in &self.counts {
            let _ = writeln!(text, "{name:<16}{count}");
        }
        text
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }

    /// Whether the other's counts are of the same machine code.
    fn is_comparable(&self, other: &Self) -> bool {
        (&self.machine, &self.compiler) == (&other.machine, &other.compiler)
    }
}

/// What libraries choose their code by, when they start. Callgrind knows no wider vectors than
/// those of AVX2 and no instructions for cryptography, so that all newer processors are alike.
fn machine() -> String {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "x86_64 with AVX2".to_owned();
    }
    std::env::consts::ARCH.to_owned()
}

fn record(root: &Path, bench: &Bench) -> Result<bool, String> {
    let path = root.join(RECORD);
    let before =
        fs::read_to_string(&path).map_or(Ok(Record::default()), |old| Record::read(&old))?;
    let mut record = Record::here()?;
    println!("{}", heading());
    for operation in &bench.operations {
        let count = bench.median(operation)?;
        println!("{}", row(&operation.name, before.count(&operation.name), count));
        record.counts.push((operation.name.clone(), count));
    }
    fs::write(path, record.write()).map_err(|error| format!("{RECORD}: {error}"))?;
    println!("renewed {RECORD}");
    Ok(true)
}

fn check(root: &Path, bench: &Bench, only: Option<&str>) -> Result<bool, String> {
    let text = fs::read_to_string(root.join(RECORD)).map_err(|e| format!("{RECORD}: {e}"))?;
    let (record, here) = (Record::read(&text)?, Record::here()?);
    let mut faults = Vec::new();
    println!("{}", heading());
    for operation in &bench.operations {
        if only.is_some_and(|only| only != operation.name) {
            continue;
        }
        let recorded = record.count(&operation.name);
        let mut count = bench.count(operation)?;
        if judge(operation, recorded, count).is_some() {
            count = bench.median(operation)?;
        }
        println!("{}", row(&operation.name, recorded, count));
        faults.extend(judge(operation, recorded, count));
    }
    let is_known = |name: &str| bench.operations.iter().any(|operation| operation.name == name);
    let gone = record.counts.iter().filter(|(name, _)| !is_known(name));
    faults.extend(gone.map(|(name, _)| format!("{name} is recorded and does not exist")));
    if !record.is_comparable(&here) {
        println!(
            "not judged: recorded on {} by Rust {}, and this is {} and Rust {}",
            record.machine, record.compiler, here.machine, here.compiler
        );
        return Ok(true);
    }
    for fault in &faults {
        println!("{fault}");
    }
    if !faults.is_empty() {
        println!("Win it back (--profile NAME shows where it goes), or record it with the reason");
        println!("in the commit: cargo xtask counts --record");
    }
    Ok(faults.is_empty())
}

/// What is wrong with a count. One that fell is worth recording, and fails nobody.
fn judge(operation: &Operation, recorded: Option<u64>, count: u64) -> Option<String> {
    let Operation { name, slack, .. } = operation;
    let Some(recorded) = recorded else { return Some(format!("{name} is not recorded")) };
    let is_over = 100 * count > (100 + slack) * recorded;
    is_over.then(|| format!("{name} grew by more than {slack} %: from {recorded} to {count}"))
}

fn heading() -> String {
    format!("{:<16} {:>10} {:>10} {:>7}", "operation", "recorded", "now", "ratio")
}

fn row(name: &str, recorded: Option<u64>, count: u64) -> String {
    match recorded {
        Some(recorded) => {
            let ratio = count as f64 / recorded as f64;
            format!("{name:<16} {recorded:>10} {count:>10} {ratio:>7.3}")
        }
        None => format!("{name:<16} {:>10} {count:>10} {:>7}", "–", "–"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record {
            machine: "x86_64 with AVX2".into(),
            compiler: "1.95.0".into(),
            counts: vec![("chat".into(), 30_900), ("chat-websocket".into(), 33_200)],
        };
        assert_eq!(Record::read(&record.write()), Ok(record));
        assert!(Record::read("chat many\n").is_err());
    }

    #[test]
    fn growth_beyond_the_slack_is_a_fault_and_a_fall_is_none() {
        let chat = operation("chat 200 1200 1 5").expect("an operation");
        assert_eq!(judge(&chat, Some(1000), 1050), None);
        assert_eq!(judge(&chat, Some(1000), 500), None);
        let fault = judge(&chat, Some(1000), 1051).expect("too much");
        assert_eq!(fault, "chat grew by more than 5 %: from 1000 to 1051");
        assert_eq!(judge(&chat, None, 1).expect("unknown"), "chat is not recorded");
    }

    #[test]
    fn counts_of_another_machine_are_not_compared() {
        let here = Record { machine: "a".into(), compiler: "1".into(), counts: Vec::new() };
        let other = Record { machine: "b".into(), compiler: "1".into(), counts: Vec::new() };
        assert!(here.is_comparable(&here) && !here.is_comparable(&other));
    }
}
