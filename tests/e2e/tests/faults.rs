//! Configuration that is wrong: the log names file and key, the call is refused or the default used, the rest goes on.

use std::fs;
use std::time::Duration;

use e2e::failure::{Result, ensure};
use e2e::lab::Lab;
use e2e::phone::{Browser, Phone, RtcpMux, Transport};
use e2e::plain::PlainPhone;
use e2e::proof::EchoCall;
use e2e::site::Site;

#[test]
fn a_certificate_that_does_not_exist_refuses_the_call() -> Result {
    refused("no-certificate", "dtlscertfile", "absent.pem", None)
}

#[test]
fn a_key_that_is_none_refuses_the_call() -> Result {
    refused("no-key", "dtlsprivatekey", "garbage.key", Some("not a key"))
}

#[test]
fn a_key_of_another_certificate_refuses_the_call() -> Result {
    refused("other-key", "dtlsprivatekey", "other.key", Some(OTHER_KEY))
}

#[test]
fn broken_values_in_rtp_conf_are_named_and_the_defaults_used() -> Result {
    let rtp = "strictrtp = perhaps\nprobation = soon\nrtpchecksums = 17\n".to_owned();
    let Some(lab) = Lab::start("broken-rtp", &Site { rtcpmux: Some("maybe"), rtp, ..Site::default() })? else {
        return Ok(());
    };
    let log = lab.log()?;
    for key in ["rtcpmux", "strictrtp", "probation"] {
        let named = log.lines().any(|line| {
            (line.contains("WARNING") || line.contains("ERROR")) && line.contains("rtp.conf") && line.contains(key)
        });
        ensure(named, || format!("no line names rtp.conf and {key}: {}", lab.directory().display()))?;
    }
    let mut phone = Phone::registered(&lab, Browser::Chromium, "1001")?;
    EchoCall::SHORT.place(&lab, &mut phone, "echo").map(drop)
}

/// The browsers' `key` names `file`, which holds `content` or does not exist.
fn refused(name: &str, key: &str, file: &str, content: Option<&str>) -> Result {
    let path = std::env::temp_dir().join(format!("e2e-{}-{file}", std::process::id()));
    if let Some(content) = content {
        fs::write(&path, content)?;
    }
    let site = Site { browser: format!("{key} = {}\n", path.display()), ..Site::default() };
    let Some(lab) = Lab::start(name, &site)? else { return Ok(()) };
    let mut phone = Phone::open(&lab, Browser::Chromium, "1001")?;
    phone.register(&lab, Transport::Plain)?;
    phone.dial("echo", RtcpMux::Require)?;
    let outcome = phone.until(&["accepted", "failed"], Duration::from_secs(15))?;
    ensure(outcome["name"] == "failed", || format!("the call was not refused: {outcome}"))?;
    let log = lab.log()?;
    let named = log.lines().any(|line| line.contains("ERROR") && line.contains(file));
    ensure(named, || format!("no error names {file}: {}", lab.directory().display()))?;
    // Nothing else is disturbed.
    let plain = PlainPhone::call(&lab, "echo", Duration::from_secs(3))?.finish(Duration::from_secs(20))?;
    let _ = fs::remove_file(&path);
    ensure(plain.packets > 100 && plain.lost == 0, || format!("a plain phone got {} packets", plain.packets))
}

/// Made for this test with `openssl genrsa 1024`; it opens nothing.
const OTHER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAL8rTZQQ3N/gsaiw
Ip1gTbkgLWN9DYA8B3uKOU7dIJhJEs4AAwHRUxzv1gqD1SdezDR7UHLwsXUlDtUc
XLVIDGNQK2VAHat32oK99aamTrO8cpnvRtyFNLbp67A9Z3RXfBIA0Djv6h3r/wrW
o37CX8l+txCSD6BkoUtxjwEtYNwrAgMBAAECgYAWOi62/I7x6Oo/NtuPeNcQo1Ej
tDKRqmkkUBoBtWxIyJZLJW00FOaZArncVx+9iCQuJfhgpOO9PyXOWZHd8haecaP2
bdbji9h669qCW6eUUlIOxxe+VqU3jCbsGqdqgLWLL+aeI1Z6w/1fOuimBd42BeH6
FeBglRUhwAJ0DzOowQJBAPsqIuVTCPyF3cua6dqFQt8c6dKL134LLwcg0ckqY/0l
E0ttiM8r6SSIjlpfgSwbiT5n8PLd8elNIU7cRQz6LuMCQQDC2Xq8LNJ/w6+vpv4q
/93rf9jtEv4YHATQ+Iz3Am8WvlbQvTGbjGnpdQjFpJSu/DmpzMXb2j/4P1/ZuKU5
zxgZAkBS+L6CZ4XmdgqpQknSyIco0ZJk3ZGYr/UfM7ZZ8EkLzX2sQ0kYt3bTfNEa
BcbUXVxfY1LzyGIsIjDIrneZK+TlAkA+MFVo+9FPb/CB2oWiyblVsZ9Vw0sP/NlY
rQuoxsEX/DYPN2M+5yjilzTuh+Hgm6X32OCJk/X40JlSDwnFEqD5AkEAseCirHxT
Fkyk6SQRqCnpPA2c1h8PsiBJbdk2fUMYkspG3khO5EmdYPiH9RCKVhcM0nTlH/tW
m3F/6/AM0ScaxA==
-----END PRIVATE KEY-----
";
