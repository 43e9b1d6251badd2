//! What files of an application have in them.

/// Returns bytes that compress as sources and binaries do, to about a third; others for each `state`.
pub(crate) fn content(state: &mut u64, size: usize) -> Vec<u8> {
    const WORDS: [&[u8]; 8] =
        [b"image ", b"layer", b"digest\n", b"config", b"manifest ", b"\0\0\0\0", b"overlay", b"x"];
    let mut bytes = Vec::with_capacity(size + 16);
    while bytes.len() < size {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let random = state.to_be_bytes();
        bytes.extend_from_slice(WORDS[usize::from(random[0] >> 5)]);
        bytes.extend_from_slice(&random[..2]);
    }
    bytes.truncate(size);
    bytes
}
