//! The mask: each byte of a payload, changed by one of four in turn.

/// Bytes changed at a time. The compiler makes of several such steps what the processor has for it.
const WORD: usize = size_of::<u64>();

/// Masks `bytes`, or unmasks them, which is the same. They stand `at` this place of their frame's payload.
pub fn mask(bytes: &mut [u8], key: [u8; 4], at: u64) {
    let mut key = key;
    key.rotate_left((at % 4) as usize);
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(WORD);
    for chunk in &mut words {
        let mut plain = [0; WORD];
        plain.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(plain) ^ word).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn word_by_word_is_as_byte_by_byte_wherever_it_begins(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            key: [u8; 4],
            at: u64,
        ) {
            let one_by_one: Vec<u8> = bytes
                .iter()
                .enumerate()
                .map(|(place, byte)| byte ^ key[(at.wrapping_add(place as u64) % 4) as usize])
                .collect();
            let mut masked = bytes;
            mask(&mut masked, key, at);
            prop_assert_eq!(masked, one_by_one);
        }
    }
}
