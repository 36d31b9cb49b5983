//! What this machine allows, asked before it is needed.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Outcome;

/// Descriptors that are not connections: the runtime's own, the terminal, timers.
const SPARE_FILES: u64 = 64;
const PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Makes room for this many connections, each with `files` descriptors, or says what is missing.
/// Root's hard limit is raised as well.
pub(crate) fn make_room(connections: usize, files: usize) -> Outcome<()> {
    let needed = (connections * files) as u64 + SPARE_FILES;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where this is refused, what is current counts. Only root may go above the hard limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if maximum.is_some_and(|maximum| maximum < needed) {
        let wanted = Some(needed);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: wanted });
    }
    enough_files(needed, getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Local ports that one address has for connections, where the system tells.
pub(crate) fn ports() -> Option<u64> {
    count_ports(&fs::read_to_string(PORTS).ok()?)
}

fn enough_files(needed: u64, limit: u64) -> Outcome<()> {
    if needed <= limit {
        return Ok(());
    }
    Err(format!(
        "{needed} files have to be open at once and {limit} may be: raise the hard limit \
         (`ulimit -Hn {needed}` as root), or use fewer clients"
    ))
}

fn count_ports(range: &str) -> Option<u64> {
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.trim().parse().ok()?);
    last.checked_sub(first).map(|count| count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_its_remedy() {
        assert!(enough_files(1024, 1024).is_ok());
        assert!(enough_files(1025, 1024).is_err_and(|reason| reason.contains("ulimit -Hn 1025")));
        assert_eq!(count_ports("32768\t60999\n"), Some(28_232));
    }

    #[test]
    fn this_machine_has_room_for_ten() {
        make_room(10, 1).expect("ten connections");
    }
}
