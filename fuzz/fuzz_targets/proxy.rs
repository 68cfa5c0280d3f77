//! Headers of the PROXY protocol: no input makes the parser panic, a header that has come whole is the same whatever
//! follows it, and what is refused was never taken for the beginning of anything else before.

#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_protocol::proxy::{V2_BYTES_MAX, header};

fuzz_target!(|data: &[u8]| {
    let whole = header(data);
    let mut decided = None;
    for end in 0..=data.len().min(V2_BYTES_MAX + 1) {
        let so_far = header(&data[..end]);
        match (so_far, decided) {
            (Ok(None), None) => assert!(end < V2_BYTES_MAX, "it waits for ever"),
            (so_far, None) => decided = Some(so_far),
            // More bytes change nothing.
            (so_far, Some(before)) => assert_eq!(so_far, before),
        }
        if let Ok(Some((_, len))) = so_far {
            assert!(0 < len && len <= end);
        }
    }
    if let Some(decided) = decided {
        assert_eq!(whole, decided);
    }
});
