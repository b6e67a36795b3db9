//! The examples below each `--help`.

pub(super) const EXAMPLES: &str = "\
Examples:
  earwitness doctor                                    what this machine lacks
  earwitness run --config /etc/earwitness/earwitness.toml
  earwitness replay trace.pcapng --data-dir ./data     record the calls of a capture file
  earwitness recordings list --data-dir ./data
Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong use or configuration.";

pub(super) const RUN: &str = "\
Example:
  earwitness run --config earwitness.toml
with the smallest configuration:
  [capture]
  interfaces = [\"eth1\"]
Stops cleanly on SIGTERM or SIGINT. All keys: earwitness config reference";

pub(super) const REPLAY: &str = "\
Examples:
  earwitness replay trace.pcap --data-dir ./data
  earwitness replay tap-a.pcap tap-b.pcap --data-dir ./data --json
  tcpdump -w - -r big.pcap udp | earwitness replay - --data-dir ./data";

pub(super) const LIST: &str = "\
Examples:
  earwitness calls list --data-dir ./data
  earwitness recordings list --data-dir ./data --json | jq .path";

pub(super) const CALL: &str = "\
Examples:
  earwitness call pause 0198f3 --data-dir /var/lib/earwitness
  earwitness call resume 0198f3 --data-dir /var/lib/earwitness
  earwitness call mask 3848276298220188511 --side caller --data-dir /var/lib/earwitness
  earwitness call stop 0198f3 --data-dir /var/lib/earwitness     a `start` after it makes a recording of its own
The daemon must be running; its socket, run/control.sock in the data folder, is for its user and group.";

pub(super) const EXPORT: &str = "\
Examples:
  earwitness recordings export 0198f3 --data-dir ./data -o call.wav
  earwitness recordings export 0198f3 --data-dir ./data -o call.mp3 --format mp3
  earwitness recordings export 0198f3 --data-dir ./data -o call.pcapng --format pcapng
A call that still goes on, by its id or Call-ID:
  earwitness recordings export 3848276298220188511 --data-dir ./data -o so-far.wav";

pub(super) const CHECK: &str = "\
Example:
  earwitness check --data-dir /var/lib/earwitness && echo clean";

pub(super) const DOCTOR: &str = "\
Examples:
  earwitness doctor
  earwitness doctor --config /etc/earwitness/earwitness.toml --disk
  earwitness doctor --interface eth1 --mbit 25000      before the faster link is bought
A line each: ok, slow (with the remedy and the calls there is enough for), missing (`run` cannot work; exit code 1).
What is computed, and from which measurements, stands in perf/CAPACITY.md.";

pub(super) const POLICY_CHECK: &str = "\
Examples:
  earwitness policy check /etc/earwitness/policies
  earwitness policy check sales.json support.toml --json
Exit codes: 0 the set holds, 2 it does not.";

pub(super) const POLICY_EXPLAIN: &str = "\
Examples:
  earwitness policy explain --call 019b3f --data-dir /var/lib/earwitness
  earwitness policy explain --from alice@acme.example --to +4930555123 --config earwitness.toml
  earwitness policy explain --from +4930555123 --to 700 --through 700@acme.example --direction inbound \\
      --config earwitness.toml --json";

pub(super) const POLICY_RELOAD: &str = "\
Example, after files in the folder of [policy] files were changed:
  earwitness policy reload --data-dir /var/lib/earwitness
Exit codes: 0 the set is in force, 1 no daemon, 2 the set has faults and the one before stays.";

pub(super) const POLICY_APPLY: &str = "\
Examples:
  earwitness policy apply sales.json support.toml --data-dir /var/lib/earwitness
  earwitness policy remove sales.json --data-dir /var/lib/earwitness
The daemon must be running, and read a folder ([policy] files = [\"/etc/earwitness/policies\"]); who runs this must be
allowed to write beside that folder, and to use run/control.sock.
Exit codes: 0 the set is in force, 1 no daemon or no right, 2 the set has faults and all is as it was.";

pub(super) const POLICY_HISTORY: &str = "\
Example:
  earwitness policy history --data-dir /var/lib/earwitness";
