//! What the operating system says about the server's process (Linux, proc(5)).

use std::fs;
use std::time::Duration;

use crate::Outcome;

/// Processor time of the process so far, all threads, in user and kernel mode together.
pub(crate) fn cpu(pid: u32) -> Outcome<Duration> {
    let stat = read(pid, "stat")?;
    // The name in brackets may hold anything; the state is the first field behind it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: Option<Vec<u64>> =
        fields.split(' ').skip(11).take(2).map(|field| field.parse().ok()).collect();
    match ticks.as_deref() {
        Some([user, system]) => {
            let per_second = rustix::param::clock_ticks_per_second();
            Ok(Duration::from_micros((user + system) * 1_000_000 / per_second))
        }
        _ => Err(format!("/proc/{pid}/stat is not understood: {stat}")),
    }
}

/// Resident memory of the process, in KiB.
pub(crate) fn resident(pid: u32) -> Outcome<u64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| format!("/proc/{pid}/status names no VmRSS"))
}

fn read(pid: u32, file: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| {
        format!("{path} cannot be read ({error}): --pid takes the number of a running server")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let own = std::process::id();
        assert!(resident(own).expect("a number") > 100);
        assert!(cpu(own).is_ok());
        assert!(cpu(u32::MAX).is_err_and(|reason| reason.contains("--pid")));
    }
}
