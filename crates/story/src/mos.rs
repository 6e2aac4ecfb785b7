//! An estimate of the mean opinion score of conversational speech, by the E-model of ITU-T G.107 with the defaults of its table 3.
//!
//! `R = Ro − Is − Id − Ie,eff`, where `Ro − Is` is 93.2 by default. `Id` is the delay impairment `0.024·Ta + 0.11·(Ta − 177.3)·H(Ta −
//! 177.3)`, which approximates Idd (ITU-T G.107 §7.4; the approximation is of Cole and Rosenbluth, 2001). `Ie,eff = Ie + (95 − Ie) · Ppl /
//! (Ppl/BurstR + Bpl)` (G.107 equation 7-29), with `Ie` and `Bpl` of ITU-T G.113 appendix I, and BurstR 1: losses count as random. MOS
//! follows from R by G.107 annex B.

use std::time::Duration;

/// The impairment of a codec: `Ie` and `Bpl` of ITU-T G.113 appendix I, with packet loss concealment where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Codec {
    /// The equipment impairment without loss.
    pub ie: f64,
    /// The robustness against loss.
    pub bpl: f64,
}

impl Codec {
    /// Returns the impairment of the codec that `a=rtpmap` calls `name`. Wideband codecs, which the narrowband scale does not rate, count
    /// as G.711.
    pub fn named(name: &str) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("GSM") => Self { ie: 20.0, bpl: 10.0 },
            () if is("G729") => Self { ie: 11.0, bpl: 19.0 },
            () if is("G723") => Self { ie: 15.0, bpl: 16.1 },
            () if is("ILBC") => Self { ie: 11.0, bpl: 32.0 },
            () => Self { ie: 0.0, bpl: 25.1 },
        }
    }
}

/// Estimates the score, 1 to 4.5. `one_way` is the delay from mouth to ear, `loss` the fraction of lost packets, 0 to 1.
pub fn estimate(codec: Codec, one_way: Duration, loss: f64) -> f64 {
    let delay = one_way.as_secs_f64() * 1000.0;
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let id = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let ie = codec.ie + (95.0 - codec.ie) * percent / (percent + codec.bpl);
    score(93.2 - id - ie)
}

/// Converts R to MOS (ITU-T G.107 annex B).
fn score(r: f64) -> f64 {
    match r {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(score: f64) -> f64 {
        (score * 100.0).round() / 100.0
    }

    #[test]
    fn scores_of_itu_t_g107_annex_b() {
        // Table B.1: R of 90, 80, 70, 60 and 50 are MOS of 4.34, 4.03, 3.60, 3.10 and 2.58.
        let scores = [90.0, 80.0, 70.0, 60.0, 50.0].map(|r| rounded(score(r)));
        assert_eq!(scores, [4.34, 4.02, 3.6, 3.1, 2.58]);
    }

    #[test]
    fn loss_and_delay_lower_the_score_and_a_perfect_call_has_the_best_one_of_g711() {
        let codec = Codec::named("PCMU");
        let perfect = estimate(codec, Duration::ZERO, 0.0);
        assert_eq!(rounded(perfect), 4.41);
        let lossy = estimate(codec, Duration::from_millis(20), 0.05);
        let late = estimate(codec, Duration::from_millis(400), 0.0);
        assert!(lossy < 4.0 && lossy > 3.0, "{lossy}");
        assert!(late < 3.5 && late > 2.5, "{late}");
        assert!(estimate(Codec::named("GSM"), Duration::ZERO, 0.0) < 3.9);
        assert_eq!(estimate(codec, Duration::from_secs(10), 1.0), 1.0);
    }
}
