//! What the kernel's verifier takes the program for.

use earwitness_capture::program::{Output, ProgramOptions, Unmatched};

use crate::kernel::{Kernel, RINGS, options};

/// The verifier gives up at a million. Other kernels count otherwise, so that much must be left.
const VERIFIED_MAX: u32 = 200_000;

/// CAP-1: the program is far from what the verifier takes no more, whatever it is loaded for.
#[test]
fn the_verifier_is_far_from_its_limit() {
    let sockets = Output::Sockets { queues: 2, sockets_per_queue: 2 };
    let pass = ProgramOptions { unmatched: Unmatched::Pass, ..options(RINGS) };
    for options in [options(RINGS), pass, options(sockets)] {
        let kernel = Kernel::load(&options);
        let info = kernel.program.xdp().unwrap().info().unwrap();
        let verified = info.verified_instruction_count().expect("kernel 5.16");
        assert!(
            verified <= VERIFIED_MAX,
            "{verified} steps to verify, of {VERIFIED_MAX} that are allowed: {options:?}"
        );
    }
}
