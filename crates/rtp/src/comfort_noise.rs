//! Comfort noise (RFC 3389): a noise level and, optionally, the shape of its spectrum.

/// The static payload type of comfort noise at 8000 Hz (RFC 3551 table 4).
pub const PAYLOAD_TYPE: u8 = 13;

/// A comfort noise payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComfortNoise<'a> {
    /// The noise level below overload, 0 to 127: 127 stands for -127 dBov (§3.1).
    pub level_in_minus_dbov: u8,
    /// The quantised reflection coefficients, as many as the sender gives (§3.2).
    pub coefficients: &'a [u8],
}

impl<'a> ComfortNoise<'a> {
    /// Reads a payload; `None` if it is empty.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (level, coefficients) = payload.split_first()?;
        Some(Self { level_in_minus_dbov: level & 0x7F, coefficients })
    }
}

/// Returns the payload for a noise level without spectrum. The most significant bit is zero (§3.1).
pub fn payload(level_in_minus_dbov: u8) -> [u8; 1] {
    [level_in_minus_dbov & 0x7F]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3389_section_3_1_noise_level() {
        let noise = ComfortNoise::parse(&[0xC0 | 15, 1, 2]).unwrap();
        assert_eq!(noise.level_in_minus_dbov, 0x4F);
        assert_eq!(noise.coefficients, [1, 2]);
        assert_eq!(ComfortNoise::parse(&[]), None);
        assert_eq!(ComfortNoise::parse(&payload(65)).unwrap().level_in_minus_dbov, 65);
    }
}
