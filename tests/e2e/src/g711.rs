//! PCMU (ITU-T G.711, µ-law), for a plain phone that supports nothing else.

const BIAS: i32 = 0x84;

/// Encodes a sample.
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs().min(32_635)) + BIAS;
    let exponent = (31 - magnitude.leading_zeros()).saturating_sub(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

/// Decodes a byte.
pub fn decode(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i32::from(byte & 0x0f) << 3) + BIAS) << ((byte >> 4) & 0x07);
    let sample = magnitude - BIAS;
    (if byte & 0x80 == 0 { sample } else { -sample }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        // 0x7f is minus zero, which encodes as plus zero.
        for byte in (0..=255).filter(|byte| *byte != 0x7f) {
            assert_eq!(encode(decode(byte)), byte);
        }
    }
}
